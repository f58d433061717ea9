#include "common/tokenizer/bpe_tokenizer.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/support/child_cost.h"
#include "tests/support/cpu_time.h"

namespace diptych {
namespace {

using Ids = std::vector<int64_t>;

constexpr char kSmallFile[] = DIPTYCH_SOURCE_DIR "/tests/fuzz/seeds/tokenizer_json/pairs.json";

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// "th" 256, "the" 257, " t" 258, " the" 259, "he" 260, " then" 261, "it" 262, E7 8C 263, "\n\n" 264;
// <|im_start|> 265 and <|im_end|> 266 (special), <think> 267.
const BpeTokenizer& SmallTokenizer() {
  static const BpeTokenizer tokenizer = BpeTokenizer::FromTokenizerJson(ReadText(kSmallFile), "pairs.json");
  return tokenizer;
}

std::string RefusalOf(const std::string& folder, ErrorCode code) {
  try {
    BpeTokenizer::Load(folder);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "accepted";
}

// An empty folder that goes away with the test.
class Folder {
 public:
  explicit Folder(const std::string& name) : path_(std::filesystem::path(testing::TempDir()) / name) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(BpeTokenizer, EncodesEmptyTextToNothing) { EXPECT_EQ(SmallTokenizer().Encode(""), Ids{}); }

TEST(BpeTokenizer, MergesInsidePiecesOnly) {
  EXPECT_EQ(SmallTokenizer().Encode("the then\nthe"), (Ids{257, 220, 257, 77, 198, 257}));  // t+h before " "+t
  EXPECT_EQ(SmallTokenizer().Encode("it\n\n"), (Ids{262, 264}));
  EXPECT_EQ(SmallTokenizer().Encode(".\n\n"), (Ids{'.' - 33, 264}));
  EXPECT_EQ(SmallTokenizer().Encode("1\n1\n"), (Ids{16, 198, 16, 198}));
}

TEST(BpeTokenizer, FindsAddedTokensInsideTheText) {
  EXPECT_EQ(SmallTokenizer().Encode("<|im_start|>the<|im_end|>\n<think>"), (Ids{265, 257, 266, 198, 267}));
  EXPECT_EQ(SmallTokenizer().Encode("it<think>the"), (Ids{262, 267, 257}));
}

// An added token ends the text for the look-ahead, and keeps marks behind it from composing with it.
TEST(BpeTokenizer, TreatsTextBetweenAddedTokensAsTextsOfTheirOwn) {
  EXPECT_EQ(SmallTokenizer().Encode("\n<think>\n"), (Ids{198, 267, 198}));
  EXPECT_EQ(SmallTokenizer().Encode("<think>\u0338"), (Ids{267, 136, 116}));
  EXPECT_EQ(SmallTokenizer().Encode(">\u0338"), SmallTokenizer().Encode("\u226f"));
}

TEST(BpeTokenizer, ComposesBeforeItSplits) {
  EXPECT_EQ(SmallTokenizer().Encode("cafe\u0301"), SmallTokenizer().Encode("caf\u00e9"));
}

TEST(BpeTokenizer, RefusesInvalidUtf8NamingTheByte) {
  try {
    SmallTokenizer().Encode("the \xFF");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(),
                 "the text is not valid UTF-8: byte 0xFF at offset 4 does not begin or complete a character");
  }
}

TEST(BpeTokenizer, DecodesWhatItEncoded) {
  const std::string text = "<|im_start|>user\nthe \u732b\U0001f431 it's\t12<|im_end|>\n<think>\n\n</think>";
  const Ids ids = SmallTokenizer().Encode(text);
  EXPECT_EQ(SmallTokenizer().Decode(ids, false), text);
  EXPECT_EQ(SmallTokenizer().Decode(ids, true), "user\nthe \u732b\U0001f431 it's\t12\n<think>\n\n</think>");
}

TEST(BpeTokenizer, DecodesDamagedCharactersAndUnusedIds) {
  EXPECT_EQ(SmallTokenizer().Decode(Ids{263}, false), "\uFFFD");
  EXPECT_EQ(SmallTokenizer().Decode(Ids{263, 257}, false), "\uFFFDthe");
  EXPECT_EQ(SmallTokenizer().Decode(Ids{257, 268, 100000, -1, 257}, false), "thethe");
}

TEST(BpeTokenizer, CountsIdsUpToTheGreatest) { EXPECT_EQ(SmallTokenizer().vocabulary_size(), 268u); }

TEST(BpeTokenizer, EncodesOnSeveralThreadsAtOnce) {
  const std::string text = "the then <think>it's \u732b 12\n";
  const Ids expected = SmallTokenizer().Encode(text);
  std::vector<int> right(4, 0);
  std::vector<std::thread> threads;
  for (int& count : right) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) count += SmallTokenizer().Encode(text) == expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, std::vector<int>(4, 200));
}

TEST(BpeTokenizer, EncodesAMegabyteOfAnythingInUnderASecond) {
  const BpeTokenizer toy = BpeTokenizer::Load(DIPTYCH_SOURCE_DIR "/tests/parity/data/toy_a/tokenizer");
  for (const std::string unit : {"a", "the", "unstopable", " ", "\n", " \n", "!", "=", "1", "\u732b", "\u0301\u0316",
                                 "\U0001f431", "<", "<|im_en", "<|im_end|>", "A red fox, \u72d0\u72f8! It's "}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    const CpuTimer timer;
    const Ids ids = toy.Encode(text);
    EXPECT_LT(timer.Seconds(), 1 * kTimeAllowance) << testing::PrintToString(unit);
    if (unit != "\u0301\u0316") {  // NFC sorts these
      EXPECT_TRUE(toy.Decode(ids, false) == text) << testing::PrintToString(unit);
    }
  }
}

TEST(BpeTokenizer, PrefersTokenizerJson) {
  const Folder folder("diptych_tokenizer_prefers_json");
  std::filesystem::copy_file(kSmallFile, folder / "tokenizer.json");
  std::ofstream(folder / "vocab.json") << "damaged";
  std::ofstream(folder / "merges.txt") << "damaged";
  EXPECT_EQ(BpeTokenizer::Load(folder.path()).Encode("the"), Ids{257});
}

// What it is, not how the files say it.
TEST(BpeTokenizer, IsTheSameInWhateverFilesItIsWritten) {
  const std::string identity = SmallTokenizer().Identity();
  const Folder folder("diptych_tokenizer_identity");
  nlohmann::json file = nlohmann::json::parse(std::ifstream(kSmallFile));
  std::ofstream(folder / "tokenizer.json") << file.dump(4);
  EXPECT_EQ(BpeTokenizer::Load(folder.path()).Identity(), identity);

  std::ofstream(folder / "vocab.json") << file["model"]["vocab"].dump();
  std::ofstream merges(folder / "merges.txt");
  for (const auto& merge : file["model"]["merges"]) {
    merges << (merge.is_string() ? merge.get<std::string>()
                                 : merge[0].get<std::string>() + " " + merge[1].get<std::string>())
           << "\n";
  }
  merges.close();
  nlohmann::json decoder;
  for (const auto& token : file["added_tokens"]) decoder[std::to_string(token["id"].get<int>())] = token;
  std::filesystem::remove(folder / "tokenizer.json");
  std::ofstream(folder / "tokenizer_config.json") << nlohmann::json{{"added_tokens_decoder", decoder}}.dump();
  EXPECT_EQ(BpeTokenizer::Load(folder.path()).Identity(), identity);

  decoder["900"] = {{"content", "<sks>"}, {"special", false}, {"normalized", false}};
  std::ofstream(folder / "tokenizer_config.json") << nlohmann::json{{"added_tokens_decoder", decoder}}.dump();
  EXPECT_NE(BpeTokenizer::Load(folder.path()).Identity(), identity);
}

TEST(BpeTokenizer, SaysWhichFilesAreMissingOrWrong) {
  const Folder folder("diptych_tokenizer_missing");
  EXPECT_EQ(RefusalOf("/no/model/tokenizer", ErrorCode::kNotFound), "there is no folder /no/model");
  const std::string expected = folder.path() + ": no tokenizer, expected tokenizer.json, or vocab.json and merges.txt";
  EXPECT_EQ(RefusalOf(folder.path(), ErrorCode::kNotFound), expected);
  std::ofstream(folder / "vocab.json") << "{}";
  EXPECT_EQ(RefusalOf(folder.path(), ErrorCode::kNotFound), expected);
  std::ofstream(folder / "merges.txt") << "";
  EXPECT_EQ(RefusalOf(folder.path(), ErrorCode::kInvalidArgument),
            (folder / "vocab.json") +
                ": no added tokens beside it, expected added_tokens_decoder in tokenizer_config.json, or "
                "added_tokens.json");
  std::ofstream(folder / "tokenizer.json") << "{";
  EXPECT_EQ(RefusalOf(folder.path(), ErrorCode::kDataLoss),
            (folder / "tokenizer.json") + ": not valid JSON: it ends too early");
}

TEST(BpeTokenizer, RefusesFilesOfAnotherOrderOfSizeAtOnce) {
  std::string values = "[";
  while (values.size() < (size_t{20} << 20)) values += "{},";
  const std::string text = R"({"x":)" + values + "0]}";
  const ChildCost cost = CostInChild([&] { BpeTokenizer::FromTokenizerJson(text, "t.json"); });
  EXPECT_EQ(cost.refusal, "t.json: holds more than 1000000 values");
  EXPECT_LT(cost.cpu_s, 1 * kTimeAllowance);
  EXPECT_LT(cost.memory_mib, 10 * kMemoryAllowance);
}

// An added token is a path of nodes, one for each of its bytes, and is looked up among all others.
TEST(BpeTokenizer, BoundsNumberAndLengthOfAddedTokens) {
  using nlohmann::json;
  const json file = json::parse(std::ifstream(DIPTYCH_SOURCE_DIR "/tests/parity/data/toy_a/tokenizer/tokenizer.json"));
  const json token = file["added_tokens"][0];
  const auto refusal = [](const json& document) {
    const std::string text = document.dump();
    const ChildCost cost = CostInChild([&] { BpeTokenizer::FromTokenizerJson(text, "t.json"); });
    EXPECT_TRUE(cost.ended);
    EXPECT_LT(cost.cpu_s, 3 * kTimeAllowance);
    EXPECT_LT(cost.memory_mib, 300 * kMemoryAllowance);
    return cost.refusal;
  };
  json long_one = file;
  long_one["added_tokens"][0]["content"] = std::string(20 << 20, 'x');
  EXPECT_NE(refusal(long_one).find("is one too many: their texts have at most 1 MiB together"), std::string::npos);
  json many = file;
  for (int i = 0; i < 10'000; ++i) {
    json next = token;
    next["content"] = "<" + std::to_string(i) + ">";
    next["id"] = 1'000'000 + i;
    many["added_tokens"].push_back(next);
  }
  EXPECT_EQ(refusal(many), "t.json: added_tokens has more than 10000 tokens");
  many["added_tokens"].erase(many["added_tokens"].begin() + 1000, many["added_tokens"].begin() + 1100);
  EXPECT_EQ(refusal(many), "");
  const BpeTokenizer tokenizer = BpeTokenizer::FromTokenizerJson(many.dump(), "t.json");
  ASSERT_EQ(tokenizer.warnings().size(), 1u);
  EXPECT_LT(tokenizer.warnings()[0].size(), 2000u) << "of ids with a gap the first are named";
}

}  // namespace
}  // namespace diptych
