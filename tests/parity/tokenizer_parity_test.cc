// Token ids against transformers: tests/parity/make_goldens.py wrote the cases, beside the toy tokenizers that they are
// of. Then, for every code point, how it is split and normalised: reference_unicode.py.
#include <cstdint>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#ifdef DIPTYCH_HAS_DIGEST
#include "common/digest/sha256.h"
#endif
#include "common/tokenizer/bpe_tokenizer.h"
#include "common/tokenizer/nfc.h"
#include "common/tokenizer/pre_tokenizer.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string ToyFolder(const std::string& toy) { return DIPTYCH_SOURCE_DIR "/tests/parity/data/" + toy; }

nlohmann::json ReadCases(const std::string& toy) {
  std::ifstream file(ToyFolder(toy) + "/golden_tokens.json");
  return nlohmann::json::parse(file);
}

// Chinese, emoji, combining characters, control tokens typed by a user, white space of every kind, ...
void CompareTexts(const std::string& toy) {
  const BpeTokenizer tokenizer = BpeTokenizer::Load(ToyFolder(toy) + "/tokenizer");
  size_t compared = 0;
  for (const nlohmann::json& item : ReadCases(toy)) {
    if (!item.contains("text")) continue;
    const auto text = item["text"].get<std::string>();
    EXPECT_EQ(tokenizer.Encode(text), item["ids"].get<std::vector<int64_t>>()) << item["text"];
    ++compared;
  }
  EXPECT_GE(compared, 100u);
}

// Prompts of 10 000 characters.
void CompareLongTexts(const std::string& toy) {
  const BpeTokenizer tokenizer = BpeTokenizer::Load(ToyFolder(toy) + "/tokenizer");
  size_t compared = 0;
  for (const nlohmann::json& item : ReadCases(toy)) {
    if (!item.contains("repeat")) continue;
    std::string text;
    for (int i = 0; i < item["repeat"][1].get<int>(); ++i) text += item["repeat"][0].get<std::string>();
    const std::vector<int64_t> ids = tokenizer.Encode(text);
    EXPECT_EQ(ids.size(), item["count"].get<size_t>());
    EXPECT_EQ(tokenizer.Decode(ids, false), text);
#ifdef DIPTYCH_HAS_DIGEST
    std::string joined;
    for (const int64_t id : ids) joined.append(std::to_string(id)).append(",");
    joined.pop_back();
    EXPECT_EQ(Sha256Hex(joined), item["sha256"].get<std::string>());
#endif
    ++compared;
  }
  EXPECT_GE(compared, 2u);
}

TEST(TokenizerParity, GivesTheIdsOfTransformersFromTokenizerJson) { CompareTexts("toy_a"); }
TEST(TokenizerParity, GivesTheIdsOfTransformersFromVocabAndMerges) { CompareTexts("toy_b"); }
TEST(TokenizerParity, GivesTheIdsOfTransformersForLongPromptsFromTokenizerJson) { CompareLongTexts("toy_a"); }
TEST(TokenizerParity, GivesTheIdsOfTransformersForLongPromptsFromVocabAndMerges) { CompareLongTexts("toy_b"); }

// golden_unicode.json, from reference_unicode.py: ranges of code points.
nlohmann::json ReadUnicode() {
  std::ifstream file(DIPTYCH_SOURCE_DIR "/tests/parity/data/golden_unicode.json");
  return nlohmann::json::parse(file);
}

void ForEachCodePoint(const nlohmann::json& ranges, const std::function<void(char32_t)>& visit) {
  for (const nlohmann::json& range : ranges) {
    for (char32_t c = range[0].get<uint32_t>(); c <= range[1].get<uint32_t>(); ++c) visit(c);
  }
}

std::string Utf8(char32_t c) {
  const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 | c >> 6), byte(0x80 | (c & 0x3F))};
  if (c < 0x10000) return {byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F))};
  return {byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 0x3F)), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F))};
}

TEST(TokenizerParity, TakesTheSameCharactersForLettersAndNumbers) {
  enum Kind : char { kOther, kLetter, kNumber };
  std::vector<Kind> expected(0x110000, kOther);
  const nlohmann::json golden = ReadUnicode();
  ForEachCodePoint(golden["letters"], [&](char32_t c) { expected[c] = kLetter; });
  ForEachCodePoint(golden["numbers"], [&](char32_t c) { expected[c] = kNumber; });
  const PreTokenizer pre_tokenizer;
  size_t wrong = 0;
  for (char32_t c = 0x80; c < 0x110000; ++c) {
    if (c == 0xD800) c = 0xE000;  // no surrogates
    // "aX" stays together when X is a letter; then "XX" comes apart only when X is a number.
    const std::string x = Utf8(c);
    const std::string text = "a" + x + "7" + x + x;
    const std::vector<std::string_view> pieces = pre_tokenizer.Split(text);
    const Kind kind = pieces.front().size() > 1 ? kLetter : pieces.back() == x ? kNumber : kOther;
    if (kind != expected[c] && ++wrong <= 10) ADD_FAILURE() << std::hex << static_cast<uint32_t>(c);
  }
  EXPECT_EQ(wrong, 0u);
}

// Every combining mark between U+0345 (sorted behind nearly all) and U+0334 (before nearly all).
TEST(TokenizerParity, OrdersMarksAsTheReferenceDoes) {
  size_t compared = 0, wrong = 0;
  const nlohmann::json golden = ReadUnicode();
  for (const auto& [result, ranges] : golden["marks"].items()) {
    ForEachCodePoint(ranges, [&, &result = result](char32_t c) {
      std::string expected;
      for (const char byte : result) expected += byte == '%' ? Utf8(c) : std::string(1, byte);
      ++compared;
      if (ComposeNfc("q\u0345" + Utf8(c) + "\u0334") != expected && ++wrong <= 10) {
        ADD_FAILURE() << std::hex << static_cast<uint32_t>(c);
      }
    });
  }
  EXPECT_GE(compared, 900u);
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace diptych
