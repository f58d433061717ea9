// Golden: make_gguf_tokenizer.py beside this file.
#include "common/tokenizer/gguf_tokens.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "common/tokenizer/bpe_tokenizer.h"
#include "common/tokenizer/byte_level.h"
#include "common/weights/gguf_tokenizer.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

const std::string kToy = DIPTYCH_SOURCE_DIR "/tests/parity/data/toy_a";

BpeTokenizer FromJson() { return BpeTokenizer::Load(kToy + "/tokenizer"); }

BpeTokenizer FromGguf() {
  const auto file = GgufFile::Open(DIPTYCH_SOURCE_DIR "/tests/unit/common/tokenizer/data/toy_a.gguf");
  return BpeTokenizer::FromGguf(TokensOf(*file).value());
}

TEST(GgufTokens, MakeTheTokenizerThatTokenizerJsonMakes) {
  EXPECT_EQ(FromGguf().Identity(), FromJson().Identity());
  EXPECT_EQ(FromGguf().vocabulary_size(), 1000u) << "the filled rows of the embedding are no tokens";
  EXPECT_TRUE(FromGguf().warnings().empty());
}

TEST(GgufTokens, GiveTheIdsOfTransformers) {
  const BpeTokenizer tokenizer = FromGguf();
  std::ifstream file(kToy + "/golden_tokens.json");
  size_t compared = 0;
  for (const nlohmann::json& item : nlohmann::json::parse(file)) {
    if (!item.contains("text")) continue;
    EXPECT_EQ(tokenizer.Encode(item["text"].get<std::string>()), item["ids"].get<std::vector<int64_t>>())
        << item["text"];
    ++compared;
  }
  EXPECT_GE(compared, 100u);
}

TEST(GgufTokens, ComposeTextThoughTheFileDoesNotSaySo) {
  EXPECT_EQ(FromGguf().Encode("cafe\u0301"), FromGguf().Encode("caf\u00e9"));
}

TEST(GgufTokens, TakeTextThatSpellsAFillerForText) {
  const BpeTokenizer tokenizer = FromGguf();
  EXPECT_EQ(tokenizer.Encode("a[PAD1003] b"), FromJson().Encode("a[PAD1003] b"));
  EXPECT_EQ(tokenizer.Decode(std::vector<int64_t>{1003}, false), "");
}

std::string Printable(int byte) {
  const char32_t c = ByteToPrintable(static_cast<uint8_t>(byte));
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
}

// Byte b has the id b, "th" 256 and "the" 257; "<think>" 258 and "<|im_end|>" 259 are added, 260 is filled.
struct Small {
  std::vector<std::string> texts;
  std::vector<std::string> merge_texts = {"t h", "th e"};
  std::vector<std::string_view> tokens;
  std::vector<std::string_view> merges;
  GgufTokens given = {.name = "file", .model = "gpt2", .pre = "qwen2"};

  Small() {
    for (int byte = 0; byte < 256; ++byte) Add(Printable(byte), 1);
    Add("th", 1);
    Add("the", 1);
    Add("<think>", 4);
    Add("<|im_end|>", 3);
    Add("[PAD260]", 5);
  }
  void Add(const std::string& text, int64_t type) {
    texts.push_back(text);
    given.types.push_back(type);
  }
  TokenizerModel Read() {
    tokens.assign(texts.begin(), texts.end());
    merges.assign(merge_texts.begin(), merge_texts.end());
    given.tokens = tokens;
    given.merges = merges;
    return ReadGgufTokens(given);
  }
  std::string Refusal() {
    try {
      Read();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
      return error.what();
    }
    return "accepted";
  }
};

std::string RefusalOf(void (*change)(Small&)) {
  Small small;
  change(small);
  return small.Refusal();
}

TEST(GgufTokens, GiveVocabularyMergesAndAddedTokens) {
  Small small;
  small.given.eos_id = 259;
  const TokenizerModel model = small.Read();
  ASSERT_EQ(model.vocabulary.size(), 258u);
  EXPECT_EQ(model.vocabulary[' '], " ");
  EXPECT_EQ(model.vocabulary[257], "the");
  ASSERT_EQ(model.merges.size(), 2u);
  EXPECT_EQ(model.merges[1].result, 257);
  EXPECT_EQ(model.added_tokens, (std::vector<AddedToken>{{258, "<think>", false}, {259, "<|im_end|>", true}}));
  EXPECT_TRUE(model.composes);
}

TEST(GgufTokens, KeepTheIdsBehindAFillerInTheMiddle) {
  Small small;
  small.Add("<|im_start|>", 3);
  const TokenizerModel model = small.Read();
  EXPECT_EQ(model.added_tokens.back(), (AddedToken{261, "<|im_start|>", true}));
  EXPECT_EQ(model.added_tokens.front().id, 258);
  EXPECT_TRUE(model.warnings.empty());
}

TEST(GgufTokens, RefuseAnotherKindOfTokenizer) {
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.model = "llama"; }),
            "file: metadata tokenizer.ggml.model is \"llama\", expected \"gpt2\": give the tokenizer's own folder");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.pre = "llama-bpe"; }),
            "file: metadata tokenizer.ggml.pre is \"llama-bpe\", expected \"qwen2\": give the tokenizer's own folder");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.pre.reset(); }),
            "file: metadata tokenizer.ggml.pre is missing, expected \"qwen2\": give the tokenizer's own folder");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.adds_bos = true; }),
            "file: metadata tokenizer.ggml.add_bos_token is true, which is not supported; expected false");
}

TEST(GgufTokens, NameTheKeyOfWhatDoesNotFit) {
  EXPECT_EQ(RefusalOf([](Small& small) {
              small.texts.clear();
              small.given.types.clear();
            }),
            "file: metadata tokenizer.ggml.tokens is missing or empty, expected the vocabulary");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.types.pop_back(); }),
            "file: metadata tokenizer.ggml.token_type has 260 entries, expected one for each of 261 tokens");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.types[257] = 6; }),
            "file: metadata tokenizer.ggml.token_type of token 257, \"the\", is 6, expected 1, 3, 4 or 5");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.types[258] = small.given.types[259] = 1; }),
            "file: metadata tokenizer.ggml.token_type has no 3 and no 4, expected some added tokens");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.types.assign(small.given.types.size(), 5); }),
            "file: metadata tokenizer.ggml.token_type has no 3 and no 4, expected some added tokens");
  EXPECT_EQ(RefusalOf([](Small& small) { small.texts[257] = "th"; }),
            "file: metadata tokenizer.ggml.tokens of token 257, \"th\", is that of token 256, too");
  EXPECT_EQ(RefusalOf([](Small& small) {
              small.texts[257] = "\xff";
            }).find("file: metadata tokenizer.ggml.tokens of token 257, "),
            0u);
  EXPECT_EQ(RefusalOf([](Small& small) { small.texts[257] = "t e"; }),
            "file: metadata tokenizer.ggml.tokens: token \"t e\" has a character outside the byte-level alphabet");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.eos_id = 261; }),
            "file: metadata tokenizer.ggml.eos_token_id is 261, expected 0 to 260");
  EXPECT_EQ(RefusalOf([](Small& small) { small.given.padding_id = -1; }),
            "file: metadata tokenizer.ggml.padding_token_id is -1, expected 0 to 260");
  EXPECT_EQ(RefusalOf([](Small& small) { small.merge_texts[1] = "the"; }),
            "file: metadata tokenizer.ggml.merges has \"the\" at 1, expected two tokens with one space between");
  EXPECT_EQ(
      RefusalOf([](Small& small) { small.merge_texts[1] = "t x"; }),
      "file: metadata tokenizer.ggml.merges: merge 1 (\"t\", \"x\") needs \"tx\", which is not in the vocabulary");
  EXPECT_EQ(RefusalOf([](Small& small) {
              for (int i = 0; i < 10'000; ++i) small.Add("<" + std::to_string(i) + ">", 4);
            }),
            "file: metadata tokenizer.ggml.token_type has more than 10000 added tokens");
}

TEST(GgufTokens, AreAbsentFromAFileWithoutATokenizer) {
  const std::string empty("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
  const auto file = GgufFile::Parse({reinterpret_cast<const uint8_t*>(empty.data()), empty.size()}, "file");
  EXPECT_FALSE(TokensOf(*file).has_value());
}

}  // namespace
}  // namespace diptych
