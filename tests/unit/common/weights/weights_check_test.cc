#include "common/weights/weights_check.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "common/digest/sha256.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::ErrorOf;
using testing::ReadText;
using testing::TemporaryFolder;
using testing::WriteText;
using Names = std::vector<std::string>;

const std::string kGguf = DIPTYCH_SOURCE_DIR "/tests/unit/common/weights/data/written.gguf";

bool Never(const FileFacts&) { return false; }

class WeightsCheckTest : public ::testing::Test {
 protected:
  WeightsCheckTest() {
    const auto fill = [](const TensorSpec& spec, std::span<uint8_t> bytes) {
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(spec.name[0] + i);
    };
    WriteCheckpoint(scratch_.path(), "model", {{"a", Dtype::F32, {64}}, {"b", Dtype::F32, {64}}}, fill, 1 << 20, {});
  }

  WeightsCheck Check(const std::string& path) const { return CheckWeights(path, cache_, {}); }
  WeightsCheck Check() const { return Check(weights_); }

  // As if the bytes had been others when they were remembered: what a disk does that errs.
  void RememberWrong(const FilePlace& place) const {
    EXPECT_EQ(cache_.Keep(MappedFile(weights_), {{place, Sha256Hex("others")}}), "");
  }
  FilePlace FromTheEnd(uint64_t offset, uint64_t byte_count) const {
    return {fs::file_size(weights_) - offset, byte_count};
  }

  const TemporaryFolder scratch_;
  const std::string weights_ = scratch_ / "model.safetensors";
  const FingerprintCache cache_{scratch_ / "cache", Never};
};

TEST_F(WeightsCheckTest, WhatIsAsRememberedIsOk) {
  const WeightsCheck first = Check(), second = Check();
  EXPECT_EQ(first.tensors, 2u);
  EXPECT_EQ(first.bytes, 512u);
  EXPECT_FALSE(first.was_remembered);
  EXPECT_EQ(first.not_kept, "");
  EXPECT_TRUE(second.was_remembered);
  EXPECT_EQ(second.different, Names{});
  EXPECT_EQ(second.since, "");
}

TEST_F(WeightsCheckTest, ATensorThatIsNotAsRememberedIsNamedOnceAndThenRememberedAsItIs) {
  Check();
  RememberWrong(FromTheEnd(256, 256));
  const WeightsCheck check = Check();
  EXPECT_EQ(check.different, Names{"b"});
  EXPECT_EQ(check.since, "") << "nothing else shows it";
  EXPECT_EQ(Check().different, Names{});
}

TEST_F(WeightsCheckTest, PartsOfTensorsAreComparedToo) {
  RememberWrong(FromTheEnd(512 - 16, 32));
  EXPECT_EQ(Check().different, Names{"a"});
  EXPECT_EQ(cache_.Known(MappedFile(weights_)).size(), 3u) << "it stays remembered";
  EXPECT_EQ(Check().different, Names{});
}

TEST_F(WeightsCheckTest, SaysWhatChangedAboutTheFile) {
  Check();
  fs::last_write_time(weights_, fs::last_write_time(weights_) + std::chrono::seconds(1));
  WeightsCheck check = Check();
  EXPECT_EQ(check.since, "it was written to");
  EXPECT_EQ(check.different, Names{});
  std::string bytes = ReadText(weights_);
  bytes.back() ^= 1;
  WriteText(scratch_ / "new", bytes);
  fs::rename(scratch_ / "new", weights_);
  check = Check();
  EXPECT_EQ(check.since, "another file lies there");
  EXPECT_EQ(check.different, Names{"b"});
  EXPECT_EQ(Check().since, "");
}

TEST_F(WeightsCheckTest, WhatTheFileDoesNotHaveAnyMoreIsDifferent) {
  Check();
  const auto fill = [](const TensorSpec&, std::span<uint8_t>) {};
  WriteCheckpoint(scratch_.path(), "model", {{"a", Dtype::F32, {4}}}, fill, 1 << 20, {});
  const WeightsCheck check = Check();
  EXPECT_EQ(check.different.size(), 2u);
  EXPECT_EQ(check.since, "another file lies there");
  EXPECT_EQ(cache_.Known(MappedFile(weights_)).size(), 1u) << "and is not remembered any more";
}

TEST_F(WeightsCheckTest, AGgufFileIsOneToo) {
  EXPECT_GT(Check(kGguf).tensors, 0u);
  const WeightsCheck check = Check(kGguf);
  EXPECT_TRUE(check.was_remembered);
  EXPECT_EQ(check.different, Names{});
}

TEST_F(WeightsCheckTest, WithoutACacheItReadsAndComparesNothing) {
  const WeightsCheck check = CheckWeights(weights_, FingerprintCache(""), {});
  EXPECT_EQ(check.bytes, 512u);
  EXPECT_FALSE(check.was_remembered);
  EXPECT_EQ(check.not_kept, "");
}

TEST_F(WeightsCheckTest, AFileThatIsNoneIsNamed) {
  WriteText(scratch_ / "x.safetensors", "xxxxxxxxxxxxxxxxxxxxxxx");
  EXPECT_EQ(ErrorOf([&] { Check(scratch_ / "x.safetensors"); }).find(scratch_ / "x.safetensors"), 0u);
  EXPECT_NE(ErrorOf([&] { Check(scratch_ / "none"); }).find("No such file"), std::string::npos);
}

TEST_F(WeightsCheckTest, EndsWhenItIsCancelled) {
  CancelToken cancel;
  cancel.Cancel();
  EXPECT_EQ(ErrorOf([&] { CheckWeights(weights_, cache_, cancel); }), "cancelled");
}

TEST_F(WeightsCheckTest, FindsTheFilesOfACheckpoint) {
  fs::create_directories(scratch_ / "vae/deeper");
  WriteText(scratch_ / "vae/v.gguf", "");
  WriteText(scratch_ / "vae/config.json", "");
  WriteText(scratch_ / "vae/deeper/d.safetensors", "");
  EXPECT_EQ(WeightsFilesIn(scratch_.path()), (Names{weights_, scratch_ / "vae/v.gguf"}));
  EXPECT_EQ(WeightsFilesIn(weights_), Names{weights_});
  fs::create_directories(scratch_ / "empty");
  EXPECT_EQ(ErrorOf([&] { WeightsFilesIn(scratch_ / "empty"); }),
            (scratch_ / "empty") + ": no *.safetensors and no *.gguf in this folder");
}

}  // namespace
}  // namespace diptych
