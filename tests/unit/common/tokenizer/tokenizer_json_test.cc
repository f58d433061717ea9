#include "common/tokenizer/tokenizer_json.h"

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using nlohmann::json;

// A small tokenizer with all 256 bytes, nine merges and three added tokens; NAME: "pairs" or "strings", the form of the
// merges.
json SmallTokenizer(const std::string& name = "pairs") {
  std::ifstream file(DIPTYCH_SOURCE_DIR "/tests/fuzz/seeds/tokenizer_json/" + name + ".json");
  return json::parse(file);
}

std::string RefusalOf(const std::string& text, ErrorCode code = ErrorCode::kInvalidArgument) {
  try {
    ReadTokenizerJson(text, "t.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "accepted";
}

std::string RefusalOfChange(const std::function<void(json&)>& change) {
  json document = SmallTokenizer();
  change(document);
  return RefusalOf(document.dump());
}

std::string RefusalOfValue(const std::string& pointer, const json& value) {
  return RefusalOfChange([&](json& document) { document[json::json_pointer(pointer)] = value; });
}

TEST(TokenizerJson, ReadsVocabularyMergesAndAddedTokens) {
  const TokenizerModel model = ReadTokenizerJson(SmallTokenizer().dump(), "t.json");
  ASSERT_EQ(model.vocabulary.size(), 265u);
  EXPECT_EQ(model.vocabulary[0], "!");
  EXPECT_EQ(model.vocabulary[198], "\n");
  EXPECT_EQ(model.vocabulary[256], "th");
  EXPECT_EQ(model.byte_ids['!'], 0);
  EXPECT_EQ(model.byte_ids[' '], 220);
  EXPECT_EQ(model.byte_ids[0xAD], 255);
  ASSERT_EQ(model.merges.size(), 9u);
  EXPECT_EQ(model.merges[0].left, model.byte_ids['t']);
  EXPECT_EQ(model.merges[0].right, model.byte_ids['h']);
  EXPECT_EQ(model.merges[0].result, 256);
  const std::vector<AddedToken> added{{265, "<|im_start|>", true}, {266, "<|im_end|>", true}, {267, "<think>", false}};
  EXPECT_EQ(model.added_tokens, added);
}

TEST(TokenizerJson, ReadsMergesAsStringsToo) {
  const TokenizerModel pairs = ReadTokenizerJson(SmallTokenizer("pairs").dump(), "t.json");
  const TokenizerModel strings = ReadTokenizerJson(SmallTokenizer("strings").dump(), "t.json");
  ASSERT_EQ(pairs.merges.size(), strings.merges.size());
  for (size_t rank = 0; rank < pairs.merges.size(); ++rank) {
    EXPECT_EQ(pairs.merges[rank].left, strings.merges[rank].left);
    EXPECT_EQ(pairs.merges[rank].right, strings.merges[rank].right);
    EXPECT_EQ(pairs.merges[rank].result, strings.merges[rank].result);
  }
}

TEST(TokenizerJson, TakesAddedTokensThatAreInTheVocabularyWithTheSameId) {
  EXPECT_EQ(RefusalOfChange([](json& document) { document["model"]["vocab"]["<|im_start|>"] = 265; }), "accepted");
}

TEST(TokenizerJson, RefusesDamagedFilesNamingTheByte) {
  EXPECT_EQ(RefusalOf("", ErrorCode::kDataLoss),
            "t.json: this is an empty file: its download has not begun, or its disk was full");
  const std::string text = SmallTokenizer().dump();
  EXPECT_EQ(RefusalOf(text.substr(0, text.size() / 2), ErrorCode::kDataLoss).find("t.json: not valid JSON: "), 0u);
  EXPECT_EQ(RefusalOf("[]"), "t.json is array, expected an object");
  EXPECT_EQ(RefusalOf("{}"), "t.json: pre_tokenizer is missing");
}

TEST(TokenizerJson, RefusesAnotherModel) {
  EXPECT_EQ(RefusalOfValue("/model/type", "Unigram"), "t.json: model.type is \"Unigram\", expected \"BPE\"");
  EXPECT_EQ(RefusalOfValue("/model/dropout", 0.1), "t.json: model.dropout is not supported, expected null");
  EXPECT_EQ(RefusalOfValue("/model/continuing_subword_prefix", "##"),
            "t.json: model.continuing_subword_prefix is \"##\", expected \"\"");
  EXPECT_EQ(RefusalOfValue("/model/end_of_word_suffix", "</w>"),
            "t.json: model.end_of_word_suffix is \"</w>\", expected \"\"");
  EXPECT_EQ(RefusalOfValue("/model/ignore_merges", true),
            "t.json: model.ignore_merges is true, which is not supported; expected false");
  EXPECT_EQ(RefusalOfValue("/model/ignore_merges", 1), "t.json: model.ignore_merges is number, expected true or false");
}

TEST(TokenizerJson, RefusesAnotherNormalizerOrDecoder) {
  EXPECT_EQ(RefusalOfValue("/normalizer/type", "NFKC"), "t.json: normalizer.type is \"NFKC\", expected \"NFC\"");
  EXPECT_EQ(RefusalOfValue("/normalizer", "NFC"), "t.json: normalizer is string, expected an object");
  EXPECT_EQ(RefusalOfValue("/decoder/type", "WordPiece"),
            "t.json: decoder.type is \"WordPiece\", expected \"ByteLevel\"");
}

TEST(TokenizerJson, RefusesAnotherSplitNamingTheExpression) {
  const std::string pointer = "/pre_tokenizer/pretokenizers/0/";
  const std::string refusal = RefusalOfValue(pointer + "pattern/Regex", R"(\p{N}{1,3})");
  EXPECT_EQ(refusal.find(R"(t.json: pre_tokenizer.pretokenizers[0].pattern.Regex is "\\p{N}{1,3}", expected "(?i:'s|)"),
            0u)
      << refusal;
  EXPECT_EQ(RefusalOfValue(pointer + "behavior", "Removed"),
            "t.json: pre_tokenizer.pretokenizers[0].behavior is \"Removed\", expected \"Isolated\"");
  EXPECT_EQ(RefusalOfValue(pointer + "invert", true),
            "t.json: pre_tokenizer.pretokenizers[0].invert is true, which is not supported; expected false");
  EXPECT_EQ(RefusalOfValue("/pre_tokenizer/pretokenizers/1/add_prefix_space", true),
            "t.json: pre_tokenizer.pretokenizers[1].add_prefix_space is true, which is not supported; expected false");
  EXPECT_EQ(RefusalOfChange([](json& document) { document["pre_tokenizer"]["pretokenizers"][1].erase("use_regex"); }),
            "t.json: pre_tokenizer.pretokenizers[1].use_regex is missing");
  EXPECT_EQ(RefusalOfChange([](json& document) { document["pre_tokenizer"]["pretokenizers"].erase(1); }),
            "t.json: pre_tokenizer.pretokenizers has 1 steps, expected Split and ByteLevel");
  EXPECT_EQ(RefusalOfValue("/pre_tokenizer/type", "ByteLevel"),
            "t.json: pre_tokenizer.type is \"ByteLevel\", expected \"Sequence\"");
}

TEST(TokenizerJson, RefusesAPostProcessorThatAddsTokens) {
  const json special = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  EXPECT_EQ(RefusalOfValue("/post_processor", {{"type", "TemplateProcessing"}, {"single", {special, text}}}),
            "t.json: post_processor.single[0] adds a token, which is not supported");
  EXPECT_EQ(RefusalOfValue("/post_processor", {{"type", "TemplateProcessing"}, {"single", json::array({text})}}),
            "accepted");
  EXPECT_EQ(RefusalOfValue("/post_processor", nullptr), "accepted");
  EXPECT_EQ(RefusalOfValue("/post_processor/type", "BertProcessing"),
            "t.json: post_processor.type is \"BertProcessing\", expected ByteLevel or a TemplateProcessing that adds "
            "no token");
}

TEST(TokenizerJson, RefusesAVocabularyThatContradictsItself) {
  EXPECT_EQ(RefusalOfValue("/model/vocab/th", 265),
            "t.json: model.vocab: token \"th\" has id 265, expected 0 to 264 for 265 tokens");
  EXPECT_EQ(RefusalOfValue("/model/vocab/th", -1),
            "t.json: model.vocab: token \"th\" has id -1, expected 0 to 264 for 265 tokens");
  EXPECT_EQ(RefusalOfValue("/model/vocab/the", 256), "t.json: model.vocab: tokens \"th\" and \"the\" share the id 256");
  EXPECT_EQ(RefusalOfValue("/model/vocab/th", "256"), "t.json: model.vocab[\"th\"] is string, expected a whole number");
  EXPECT_EQ(RefusalOfValue("/model/vocab/th", 1.5), "t.json: model.vocab[\"th\"] is number, expected a whole number");
  EXPECT_EQ(RefusalOfValue("/model/vocab/th", 18446744073709551615u), "t.json: model.vocab[\"th\"] is too large");
  EXPECT_EQ(RefusalOfValue("/model/vocab", json::array()), "t.json: model.vocab is array, expected an object");
  EXPECT_EQ(RefusalOfValue("/model/vocab/a b", 265),
            "t.json: model.vocab: token \"a b\" has a character outside the byte-level alphabet");
}

// The byte 0xAD is the last of the alphabet; its token gives its place to another.
TEST(TokenizerJson, RefusesAVocabularyThatWouldDropText) {
  EXPECT_EQ(RefusalOfChange([](json& document) {
              document["model"]["vocab"].erase("\u0143");
              document["model"]["vocab"]["zz"] = 255;
            }),
            "t.json: model.vocab: no token for the single byte 173, expected all 256");
}

TEST(TokenizerJson, RefusesMergesThatDoNotFitTheVocabulary) {
  EXPECT_EQ(RefusalOfValue("/model/merges/1", {"th", "o"}),
            "t.json: model.merges: merge 1 (\"th\", \"o\") needs \"tho\", which is not in the vocabulary");
  EXPECT_EQ(RefusalOfValue("/model/merges/1", {"tx", "o"}),
            "t.json: model.merges: merge 1 (\"tx\", \"o\") needs \"tx\", which is not in the vocabulary");
  EXPECT_EQ(RefusalOfValue("/model/merges/1", {"", "th"}),
            "t.json: model.merges: merge 1 (\"\", \"th\") has an empty side");
  EXPECT_EQ(RefusalOfValue("/model/merges/4", {"t", "h"}),
            "t.json: model.merges: merge 4 (\"t\", \"h\") repeats merge 0");
  EXPECT_EQ(RefusalOfValue("/model/merges/1", {"t", "h", "e"}), "t.json: model.merges[1] has 3 parts, expected two");
  EXPECT_EQ(RefusalOfValue("/model/merges/1", {1, "h"}), "t.json: model.merges[1][0] is number, expected a string");
  EXPECT_EQ(RefusalOfValue("/model/merges/1", "the"),
            "t.json: model.merges[1] is \"the\", expected two tokens with one space between");
  EXPECT_EQ(RefusalOfValue("/model/merges/1", "t h e"),
            "t.json: model.merges[1] is \"t h e\", expected two tokens with one space between");
  EXPECT_EQ(RefusalOfValue("/model/merges/1", 7), "t.json: model.merges[1] is number, expected a string");
}

TEST(TokenizerJson, ReadsTheFlagsOfAddedTokens) {
  json document = SmallTokenizer();
  document["added_tokens"][2].update({{"lstrip", true}, {"rstrip", true}, {"single_word", true}});
  document["added_tokens"][2].erase("normalized");  // the library's default: true unless the token is special
  document["added_tokens"][0].erase("normalized");
  const std::vector<AddedToken> tokens = ReadTokenizerJson(document.dump(), "t.json").added_tokens;
  EXPECT_EQ(
      tokens[2],
      (AddedToken{
          .id = 267, .content = "<think>", .lstrip = true, .rstrip = true, .single_word = true, .normalized = true}));
  EXPECT_FALSE(tokens[0].normalized);
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/lstrip", 1),
            "t.json: added_tokens[2].lstrip is number, expected true or false");
}

TEST(TokenizerJson, CountsIdsBehindAGapAsTheLibraryDoes) {
  json document = SmallTokenizer();
  document["added_tokens"][2]["id"] = 300;
  const TokenizerModel model = ReadTokenizerJson(document.dump(), "t.json");
  EXPECT_EQ(model.added_tokens[2].id, 267);
  ASSERT_EQ(model.warnings.size(), 1u);
  EXPECT_EQ(model.warnings[0],
            "t.json: added_tokens: ids with a gap are counted as transformers does: \"<think>\" is 267 instead of 300");
}

TEST(TokenizerJson, RefusesAddedTokensThatContradictEachOtherOrTheVocabulary) {
  const std::string name = "t.json: added_tokens: token ";
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/id", 265),
            name + "\"<think>\" with id 265 shares the id with \"<|im_start|>\"");
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/content", "<|im_start|>"),
            name + "\"<|im_start|>\" with id 267 is there already with id 265");
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/content", ""), name + "\"\" with id 267 has no text");
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/id", -1),
            name + "\"<think>\" with id -1 is out of range, expected 0 to 2147483647");
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/id", 1e10),
            "t.json: added_tokens[2].id is number, expected a whole number");
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/id", 256), name + "\"<think>\" with id 256 is \"th\" in the vocabulary");
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/content", "the"),
            name + "\"the\" with id 267 has id 257 in the vocabulary");
  EXPECT_EQ(RefusalOfChange([](json& document) { document["added_tokens"][2].erase("id"); }),
            "t.json: added_tokens[2].id is missing");
  EXPECT_EQ(RefusalOfValue("/added_tokens/2/special", "yes"),
            "t.json: added_tokens[2].special is string, expected true or false");
}

// What tokenizers 0.23.3 opens to the same ids, each tried there.
TEST(TokenizerJson, OpensWhatTheReferenceOpens) {
  const auto opens = [](const std::function<void(json&)>& change) { return RefusalOfChange(change); };
  EXPECT_EQ(opens([](json& d) { d.erase("decoder"); }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["decoder"] = nullptr; }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["model"]["unk_token"] = "<unk>"; }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["model"]["dropout"] = 0.0; }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["model"]["byte_fallback"] = true; }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["model"]["fuse_unk"] = true; }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["post_processor"] = nullptr; }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["model"].erase("type"); }), "accepted");
  EXPECT_EQ(opens([](json& d) { d.erase("normalizer"); }), "accepted");
  EXPECT_EQ(opens([](json& d) { d["normalizer"] = nullptr; }), "accepted");
  EXPECT_EQ(opens([](json& d) {
              d["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array()}};
            }),
            "accepted");
  EXPECT_EQ(opens([](json& d) {
              const json normalizer = d["normalizer"];
              d["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array({normalizer})}};
            }),
            "accepted");
  EXPECT_EQ(opens([](json& d) {
              const json steps = d["pre_tokenizer"];
              d["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", json::array({steps})}};
            }),
            "accepted");
  EXPECT_EQ(opens([](json& d) {
              d["post_processor"] = {{"type", "Sequence"},
                                     {"processors", json::array({{{"type", "ByteLevel"}, {"trim_offsets", false}}})}};
            }),
            "accepted");
  EXPECT_NE(opens([](json& d) { d["model"]["type"] = nullptr; }), "accepted");
  EXPECT_NE(opens([](json& d) {
              d["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array({{{"type", "NFKC"}}})}};
            }),
            "accepted");
}

// The library passes over the members but for the root's, which it refuses; transformers takes truncation and padding
// back before each text.
TEST(TokenizerJson, NamesWhatHasNoEffect) {
  const auto warnings_of = [](const std::function<void(json&)>& change) {
    json document = SmallTokenizer();
    change(document);
    std::string lines;
    for (const std::string& line : ReadTokenizerJson(document.dump(), "t.json").warnings) lines += line + "\n";
    return lines;
  };
  EXPECT_EQ(warnings_of([](json&) {}), "");
  EXPECT_EQ(warnings_of([](json& d) {
              d["a"] = 1;
              d["b"] = nullptr;
              d["model"]["c"] = 1;
              d["normalizer"]["d"] = 1;
              d["pre_tokenizer"]["e"] = 1;
              d["pre_tokenizer"]["pretokenizers"][0]["f"] = 1;
              d["post_processor"]["g"] = 1;
              d["decoder"]["h"] = 1;
              for (json& token : d["added_tokens"]) token["i"] = 1;
            }),
            "t.json: not known here and without effect: \"a\", \"model.c\", \"normalizer.d\", \"pre_tokenizer.e\", "
            "\"pre_tokenizer.f\", \"post_processor.g\", \"decoder.h\", \"added_tokens[].i\"\n");
  EXPECT_EQ(warnings_of([](json& d) {
              d["truncation"] = {{"max_length", 2}};
              d["padding"] = {{"pad_id", 0}};
            }),
            "t.json: truncation is set and without effect, as in transformers\n"
            "t.json: padding is set and without effect, as in transformers\n");
}

}  // namespace
}  // namespace diptych
