#include "common/tokenizer/vocab_files.h"

#include <nlohmann/json.hpp>
#include <string>

#include "common/error/error.h"
#include "common/tokenizer/byte_level.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using nlohmann::json;

std::string Utf8OfPrintable(int byte) {
  const char32_t c = ByteToPrintable(static_cast<uint8_t>(byte));
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
}

// Byte b has the id b, "th" 256 and "the" 257; "<think>" 258 and "<|im_end|>" 259 are added.
VocabFiles SmallFiles() {
  json vocab = json::object();
  for (int byte = 0; byte < 256; ++byte) vocab[Utf8OfPrintable(byte)] = byte;
  vocab["th"] = 256;
  vocab["the"] = 257;
  const json flags = {{"lstrip", false}, {"rstrip", false}, {"single_word", false}, {"normalized", false}};
  json think = flags, end = flags;
  think.update({{"content", "<think>"}, {"special", false}});
  end.update({{"content", "<|im_end|>"}, {"special", true}});
  const json config = {
      {"added_tokens_decoder", {{"258", think}, {"259", end}}}, {"eos_token", "<|im_end|>"}, {"add_bos_token", false}};
  return {{"vocab.json", vocab.dump()},
          {"merges.txt", "#version: 0.2\nt h\nth e\n"},
          {.config = TextFile{"tokenizer_config.json", config.dump()}, .special_tokens_map = {}, .added_tokens = {}}};
}

std::string RefusalOf(const VocabFiles& files, ErrorCode code = ErrorCode::kInvalidArgument) {
  try {
    ReadVocabFiles(files);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(VocabFiles, GiveVocabularyMergesAndAddedTokens) {
  const TokenizerModel model = ReadVocabFiles(SmallFiles());
  ASSERT_EQ(model.vocabulary.size(), 258u);
  EXPECT_EQ(model.vocabulary[' '], " ");
  EXPECT_EQ(model.vocabulary[257], "the");
  ASSERT_EQ(model.merges.size(), 2u);
  EXPECT_EQ(model.merges[1].left, 256);
  EXPECT_EQ(model.merges[1].right, 'e');
  EXPECT_EQ(model.merges[1].result, 257);
  EXPECT_EQ(model.added_tokens, (std::vector<AddedToken>{{258, "<think>", false}, {259, "<|im_end|>", true}}));
}

TEST(VocabFiles, ReadMergesWithoutVersionLineWithCarriageReturnsAndWithoutALastLineEnd) {
  VocabFiles files = SmallFiles();
  files.merges.text = std::string("t h\r\nth e");
  EXPECT_EQ(ReadVocabFiles(files).merges.size(), 2u);
}

TEST(VocabFiles, TakeALaterLineThatBeginsWithAHashForAMerge) {
  VocabFiles files = SmallFiles();
  json vocab = json::parse(files.vocab.text);
  vocab["##"] = 258;
  files.vocab.text = vocab.dump();
  files.merges.text = std::string("# #\nt h\n");
  files.beside.config.reset();
  files.beside.added_tokens = TextFile{"added_tokens.json", R"({"<think>": 259})"};
  EXPECT_EQ(ReadVocabFiles(files).merges[0].result, 258);
}

TEST(VocabFiles, NameTheLineOfABadMerge) {
  VocabFiles files = SmallFiles();
  files.merges.text = std::string("#version: 0.2\nt h\nthe\n");
  EXPECT_EQ(RefusalOf(files), "merges.txt: line 3 is \"the\", expected two tokens with one space between");
  files.merges.text = std::string("t h\nt h e\n");
  EXPECT_EQ(RefusalOf(files), "merges.txt: line 2 is \"t h e\", expected two tokens with one space between");
  files.merges.text = std::string("t h\nth \n");
  EXPECT_EQ(RefusalOf(files), "merges.txt: merge 1 (\"th\", \"\") has an empty side");
  files.merges.text = std::string("t h\nt x\n");
  EXPECT_EQ(RefusalOf(files), "merges.txt: merge 1 (\"t\", \"x\") needs \"tx\", which is not in the vocabulary");
}

TEST(VocabFiles, TakeAddedTokensFromAddedTokensJson) {
  VocabFiles files = SmallFiles();
  files.beside.config = TextFile{"tokenizer_config.json",
                                 R"({"eos_token": {"content": "<|im_end|>"}, "additional_special_tokens": ["<x>"]})"};
  files.beside.added_tokens = TextFile{"added_tokens.json", R"({"<|im_end|>": 259, "<think>": 258, "<x>": 260})"};
  EXPECT_EQ(ReadVocabFiles(files).added_tokens,
            (std::vector<AddedToken>{{.id = 258, .content = "<think>", .normalized = true},
                                     {.id = 259, .content = "<|im_end|>", .special = true},
                                     {.id = 260, .content = "<x>", .special = true}}));
  files.beside.config.reset();
  EXPECT_EQ(ReadVocabFiles(files).added_tokens.size(), 3u);
}

TEST(VocabFiles, AddedTokensDecoderHasTheLastWord) {
  VocabFiles files = SmallFiles();
  files.beside.added_tokens = TextFile{"added_tokens.json", R"({"<think>": 258, "</think>": 260})"};
  const TokenizerModel model = ReadVocabFiles(files);
  EXPECT_EQ(model.added_tokens.size(), 2u);
  ASSERT_EQ(model.warnings.size(), 1u);
  EXPECT_EQ(model.warnings[0],
            "added_tokens.json: \"</think>\" are no tokens: added_tokens_decoder of tokenizer_config.json has the last "
            "word, as in transformers");
}

TEST(VocabFiles, RefuseToGoWithoutAddedTokens) {
  VocabFiles files = SmallFiles();
  files.beside.config.reset();
  EXPECT_EQ(RefusalOf(files),
            "vocab.json: no added tokens beside it, expected added_tokens_decoder in tokenizer_config.json, or "
            "added_tokens.json");
}

TEST(VocabFiles, RefuseOptionsThatWouldChangeTheTokens) {
  // Without a tokenizer.json transformers 5.23 does add these two, if it has a token for it.
  for (const std::string key : {"add_bos_token", "add_eos_token", "add_prefix_space", "split_special_tokens"}) {
    VocabFiles files = SmallFiles();
    json config = json::parse(files.beside.config->text);
    config[key] = true;
    config["bos_token"] = "<|im_end|>";
    files.beside.config->text = config.dump();
    EXPECT_EQ(RefusalOf(files), "tokenizer_config.json: " + key + " is true, which is not supported; expected false");
  }
}

TEST(VocabFiles, SayThatATokenThatIsNoneIsNotAdded) {
  VocabFiles files = SmallFiles();
  json config = json::parse(files.beside.config->text);
  config["add_bos_token"] = true;
  config["bos_token"] = nullptr;
  files.beside.config->text = config.dump();
  EXPECT_EQ(ReadVocabFiles(files).warnings,
            std::vector<std::string>{"tokenizer_config.json: add_bos_token is true and without effect, as in "
                                     "transformers: bos_token names no token"});
}

TEST(VocabFiles, RefuseAddedTokensWithoutAnId) {
  for (const std::string key : {"x", "", "258x", " 258", "99999999999999999999"}) {
    VocabFiles files = SmallFiles();
    files.beside.config->text =
        json({{"added_tokens_decoder", {{key, {{"content", "<x>"}, {"special", true}}}}}}).dump();
    EXPECT_EQ(RefusalOf(files),
              "tokenizer_config.json: added_tokens_decoder[" + json(key).dump() + "] is not named by an id");
  }
}

TEST(VocabFiles, NameTheFileThatIsDamaged) {
  VocabFiles files = SmallFiles();
  files.beside.config->text.pop_back();
  EXPECT_EQ(RefusalOf(files, ErrorCode::kDataLoss).find("tokenizer_config.json: not valid JSON: "), 0u);
  files.vocab.text.pop_back();
  EXPECT_EQ(RefusalOf(files, ErrorCode::kDataLoss).find("vocab.json: not valid JSON: "), 0u);
}

}  // namespace
}  // namespace diptych
