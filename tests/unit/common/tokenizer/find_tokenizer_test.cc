#include "common/tokenizer/find_tokenizer.h"

#include <unistd.h>

#include <fstream>

#include "gtest/gtest.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

class FindTokenizerTest : public testing::Test {
 protected:
  FindTokenizerTest() {
    for (const char* part : {"model/tokenizer", "model/text_encoder", "other"}) fs::create_directories(folder_ / part);
    Put("other/model.safetensors");
  }
  ~FindTokenizerTest() override { fs::remove_all(folder_); }

  void Put(const std::string& file) { std::ofstream(folder_ / file) << "{}"; }
  std::string At(const std::string& name) const { return (folder_ / name).string(); }

  const fs::path folder_ = fs::temp_directory_path() / ("find_tokenizer_test." + std::to_string(getpid()));
};

TEST_F(FindTokenizerTest, TakesTheOneOfTheTextEncoderThatIsNamed) {
  Put("model/tokenizer/tokenizer.json");
  EXPECT_EQ(FindTokenizer(At("model"), At("other")), At("model/tokenizer"));
  Put("other/tokenizer.json");
  EXPECT_EQ(FindTokenizer(At("model"), At("other")), At("other"));
  EXPECT_EQ(FindTokenizer(At("model"), ""), At("model/tokenizer"));
}

TEST_F(FindTokenizerTest, TakesTheOneBesideATextEncoderThatIsAFile) {
  Put("model/tokenizer/tokenizer.json");
  Put("other/vocab.json");
  EXPECT_EQ(FindTokenizer(At("model"), At("other/model.safetensors")), At("model/tokenizer")) << "no merges.txt";
  Put("other/merges.txt");
  EXPECT_EQ(FindTokenizer(At("model"), At("other/model.safetensors")), At("other"));
  EXPECT_EQ(FindTokenizer("", At("other/model.safetensors")), At("other"));
}

TEST_F(FindTokenizerTest, LooksThroughACheckpointDownToItsRoot) {
  Put("model/tokenizer.json");
  EXPECT_EQ(FindTokenizer(At("model"), ""), At("model"));
  Put("model/text_encoder/tokenizer.json");
  EXPECT_EQ(FindTokenizer(At("model"), ""), At("model/text_encoder"));
  Put("model/tokenizer/tokenizer.json");
  EXPECT_EQ(FindTokenizer(At("model"), ""), At("model/tokenizer"));
}

TEST_F(FindTokenizerTest, TakesTheOneInAGgufFileWhenThereIsNoOther) {
  std::ofstream(folder_ / "other/model.gguf") << "GGUF and more";
  for (const std::string& model : {At("model"), std::string()}) {
    EXPECT_EQ(FindTokenizer(model, At("other/model.gguf")), At("other/model.gguf"));
  }
  Put("model/tokenizer/tokenizer.json");
  EXPECT_EQ(FindTokenizer(At("model"), At("other/model.gguf")), At("model/tokenizer"));
  Put("other/tokenizer.json");
  EXPECT_EQ(FindTokenizer(At("model"), At("other/model.gguf")), At("other"));
}

TEST_F(FindTokenizerTest, NamesThePlaceWhereItBelongsWhenThereIsNone) {
  EXPECT_EQ(FindTokenizer(At("model"), At("other")), At("model/tokenizer"));
  EXPECT_EQ(FindTokenizer("", At("other")), At("other"));
  EXPECT_EQ(FindTokenizer("nowhere", ""), fs::path("nowhere/tokenizer"));
}

}  // namespace
}  // namespace diptych
