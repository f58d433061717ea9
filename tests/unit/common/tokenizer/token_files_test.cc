#include "common/tokenizer/token_files.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/error/error.h"
#include "common/tokenizer/bpe_tokenizer.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

using json = nlohmann::ordered_json;  // the order of special tokens counts

const std::string kData = DIPTYCH_SOURCE_DIR "/tests/parity/data";

class TokenFolder {
 public:
  TokenFolder() {
    std::filesystem::copy(kData + "/toy_a/tokenizer", path_);
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
      std::filesystem::permissions(file, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    }
  }

  json Read(const std::string& name) const { return json::parse(std::ifstream(path_ / name)); }
  void Write(const std::string& name, const json& content) const { std::ofstream(path_ / name) << content.dump(); }
  void PatchConfig(const json& patch) const {
    json config = Read("tokenizer_config.json");
    config.merge_patch(patch);
    Write("tokenizer_config.json", config);
  }
  BpeTokenizer Load() const { return BpeTokenizer::Load(path_.string()); }
  std::string RefusalOf() const {
    try {
      Load();
      return "accepted";
    } catch (const Error& error) {
      std::string text = error.what();
      return text.substr(text.rfind('/') + 1);
    }
  }

 private:
  const TestFolder folder_;  // of this test alone: ctest runs several at once
  const std::filesystem::path path_ = folder_.path / "tokenizer";
};

TEST(TokenFiles, GiveTheIdsOfTransformers) {
  const json cases = json::parse(std::ifstream(kData + "/golden_added_tokens.json"));
  ASSERT_GE(cases.size(), 15u);
  for (const json& golden : cases) {
    SCOPED_TRACE(golden["config"].dump() + " " + golden["files"].dump());
    const TokenFolder folder;
    folder.PatchConfig(golden["config"]);
    for (const auto& [name, content] : golden["files"].items()) folder.Write(name, content);
    const BpeTokenizer tokenizer = folder.Load();
    for (const json& text : golden["texts"]) {
      EXPECT_EQ(json(tokenizer.Encode(text[0].get<std::string>())), text[1]) << text[0];
    }
  }
}

TEST(TokenFiles, SayWhatTheyLeaveOut) {
  const TokenFolder folder;
  EXPECT_TRUE(folder.Load().warnings().empty()) << folder.Load().warnings()[0];
  folder.PatchConfig({{"lower_case_everything", true}, {"chat_template", "x"}});
  ASSERT_EQ(folder.Load().warnings().size(), 1u);
  EXPECT_NE(folder.Load().warnings()[0].find("not known here and without effect: \"lower_case_everything\""),
            std::string::npos);
}

// They stand in tokenizer.json, and transformers 4 and the tokenizers library know them.
TEST(TokenFiles, TokensOfTokenizerJsonAloneAreKeptWithAWarning) {
  const TokenFolder folder;
  json file = folder.Read("tokenizer.json");
  json token = file["added_tokens"][0];
  token.update({{"id", 1000}, {"content", "<sks>"}});
  file["added_tokens"].push_back(token);
  folder.Write("tokenizer.json", file);
  const BpeTokenizer tokenizer = folder.Load();
  EXPECT_EQ(tokenizer.Encode("<sks>"), std::vector<int64_t>{1000});
  ASSERT_EQ(tokenizer.warnings().size(), 1u);
  EXPECT_NE(tokenizer.warnings()[0].find("\"<sks>\" stand here alone"), std::string::npos);
}

TEST(TokenFiles, RefuseWhatWouldChangeTheTokensOtherwise) {
  for (const std::string key : {"add_prefix_space", "split_special_tokens"}) {
    const TokenFolder folder;
    folder.PatchConfig({{key, true}});
    EXPECT_EQ(folder.RefusalOf(), "tokenizer_config.json: " + key + " is true, which is not supported; expected false");
  }
}

// transformers 5.23 drops both keys where there is a tokenizer.json, with or without its post_processor.
TEST(TokenFiles, SayThatNothingIsPutInFrontOrBehind) {
  for (const bool has_post_processor : {true, false}) {
    const TokenFolder folder;
    folder.PatchConfig({{"add_bos_token", true}, {"bos_token", "<|im_start|>"}});
    if (!has_post_processor) {
      json file = folder.Read("tokenizer.json");
      file.erase("post_processor");
      folder.Write("tokenizer.json", file);
    }
    const BpeTokenizer tokenizer = folder.Load();
    EXPECT_EQ(tokenizer.Encode("a").size(), 1u);
    ASSERT_EQ(tokenizer.warnings().size(), 1u);
    EXPECT_NE(tokenizer.warnings()[0].find("add_bos_token is true and without effect, as in transformers"),
              std::string::npos)
        << tokenizer.warnings()[0];
  }
}

TEST(TokenFiles, NameAForeignClass) {
  const TokenFolder folder;
  for (const std::string name : {"Qwen2Tokenizer", "Qwen2TokenizerFast", "PreTrainedTokenizerFast"}) {
    folder.PatchConfig({{"tokenizer_class", name}});
    EXPECT_TRUE(folder.Load().warnings().empty()) << name;
  }
  folder.PatchConfig({{"tokenizer_class", "LlamaTokenizerFast"}});
  const BpeTokenizer tokenizer = folder.Load();
  ASSERT_EQ(tokenizer.warnings().size(), 1u);
  EXPECT_NE(
      tokenizer.warnings()[0].find("tokenizer_class is \"LlamaTokenizerFast\"; it is read as tokenizer.json says"),
      std::string::npos)
      << tokenizer.warnings()[0];
}

// Ids as transformers 5.23 gives them: its Qwen2Tokenizer composes always, PreTrainedTokenizerFast as the file says.
TEST(TokenFiles, ComposeTextAsTheClassDoes) {
  const std::string decomposed = "e\u0301", composed = "\u00e9";
  for (const auto& [name, composes] : {std::pair("Qwen2Tokenizer", true),
                                       {"Qwen2TokenizerFast", true},
                                       {"PreTrainedTokenizerFast", false},
                                       {"", false}}) {
    const TokenFolder folder;
    const std::string before = folder.Load().Identity();
    json file = folder.Read("tokenizer.json");
    file["normalizer"] = nullptr;
    folder.Write("tokenizer.json", file);
    folder.PatchConfig({{"tokenizer_class", *name == '\0' ? json() : json(name)}});  // null: not stated
    const BpeTokenizer tokenizer = folder.Load();
    EXPECT_EQ(tokenizer.Encode(decomposed) == tokenizer.Encode(composed), composes) << name;
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(decomposed), false), composes ? composed : decomposed);
    EXPECT_EQ(tokenizer.Identity() == before, composes) << "another tokenizer has another fingerprint";
    ASSERT_EQ(tokenizer.warnings().size(), 1u);
    EXPECT_NE(tokenizer.warnings()[0].find("states no normalizer"), std::string::npos);
  }
}

}  // namespace
}  // namespace diptych
