#include "common/weights/model_files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/weights/fingerprint.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::ErrorOf;
using testing::ReadText;
using testing::TemporaryFolder;
using testing::WriteText;

bool Never(const FileFacts&) { return false; }
bool Always(const FileFacts&) { return true; }

// A checkpoint of two shards, loaded; and the bytes of the first, on disk and otherwise.
class ModelFilesTest : public ::testing::Test {
 protected:
  explicit ModelFilesTest() {
    const auto fill = [](const TensorSpec& spec, std::span<uint8_t> bytes) {
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(spec.name[0] + i);
    };
    WriteCheckpoint(folder_.path(), "model", {{"a", Dtype::F32, {64}}, {"b", Dtype::F32, {64}}}, fill, 300, {});
    WriteText(folder_ / "config.json", "{}");
    original_ = ReadText(shard_);
    changed_ = original_;
    changed_.back() ^= 1;
    checkpoint_ = Checkpoint::Open(folder_.path());
    CheckpointFingerprint(*checkpoint_, "{}", 1, &hashes_);
  }

  // Loaded and looked at once.
  void Load(ModelFiles& files, bool in_place = true) {
    if (in_place) checkpoint_->MarkUsedInPlace();
    files.AddWeights(checkpoint_, hashes_);
    files.AddRead({{folder_ / "config.json", *FactsOf(folder_ / "config.json")}});
    EXPECT_EQ(ProblemOf(files), "");
    EXPECT_TRUE(files.Look().lines.empty());
  }

  static std::string ProblemOf(ModelFiles& files) {
    return ErrorOf([&] { files.ThrowIfChanged(); });
  }

  // Written into the file that is there, as cp, rsync --inplace and wget -O do.
  void Overwrite(const std::string& bytes) {
    const auto before = fs::last_write_time(shard_);
    WriteText(shard_, bytes);
    fs::last_write_time(shard_, before + std::chrono::seconds(++writes_));  // the kernel's clock ticks every 4 ms
  }

  const TemporaryFolder folder_;
  const std::string shard_ = folder_ / "model-00001-of-00002.safetensors";
  std::string original_, changed_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::vector<std::string> hashes_;
  int writes_ = 0;
};

TEST_F(ModelFilesTest, OtherWeightsInTheSameFileAreNeverUsed) {
  ModelFiles files({.just_changed = Never, .settled = std::chrono::milliseconds(0)});
  Load(files);
  Overwrite(changed_);
  EXPECT_EQ(ProblemOf(files), shard_ +
                                  ": was changed while in use (it was written to); waiting until nobody writes to "
                                  "it and its weights have been looked at");
  const ModelNews news = files.Look();
  const std::string verdict = shard_ +
                              ": was changed while in use (it was written to): its weights are not those that "
                              "were loaded; nothing is computed with them";
  EXPECT_EQ(news.refused, verdict);
  EXPECT_EQ(news.lines, std::vector<std::string>{verdict});
  EXPECT_TRUE(news.over);
  EXPECT_EQ(ProblemOf(files), verdict);
  EXPECT_TRUE(files.Look().lines.empty()) << "said once";
}

TEST_F(ModelFilesTest, OtherWeightsUnderTheOldTimesAreSeen) {
  ModelFiles files({.just_changed = Never, .settled = std::chrono::milliseconds(0)});
  Load(files);
  const auto before = fs::last_write_time(shard_);
  usleep(10'000);  // more than a tick of the kernel's clock
  WriteText(shard_, changed_);
  fs::last_write_time(shard_, before);  // cp -p, rsync -t
  EXPECT_NE(ProblemOf(files), "");
  EXPECT_TRUE(files.Look().over);
}

// Fingerprints that are remembered spare the reading at the start alone.
TEST_F(ModelFilesTest, WhatWasLoadedWithoutReadingItIsJudgedByItsBytes) {
  const FingerprintCache cache(folder_ / "cache", Never);
  for (int start = 0; start < 2; ++start) {
    FingerprintWork work;
    CheckpointFingerprint(*checkpoint_, "{}", 1, &hashes_, &cache, &work);
    EXPECT_EQ(work.hashed, start == 0 ? 512u : 0u);
  }
  ModelFiles files({.just_changed = Never, .settled = std::chrono::milliseconds(0)});
  Load(files);
  Overwrite(original_);
  EXPECT_EQ(files.Look().refused, "");
  Overwrite(changed_);
  EXPECT_TRUE(files.Look().over);
}

TEST_F(ModelFilesTest, TheSameWeightsWrittenAnewAreUsedAgain) {
  ModelFiles files({.just_changed = Never, .settled = std::chrono::milliseconds(0)});
  Load(files);
  Overwrite(original_);
  EXPECT_NE(ProblemOf(files), "");
  const ModelNews news = files.Look();
  EXPECT_EQ(news.refused, "");
  EXPECT_FALSE(news.over);
  EXPECT_EQ(news.lines,
            std::vector<std::string>{shard_ + ": it was written to, and has the same weights; they stay in use"});
  EXPECT_EQ(ProblemOf(files), "");
  // And when they come back after others were there.
  Overwrite(changed_);
  EXPECT_NE(files.Look().refused, "");
  Overwrite(original_);
  EXPECT_EQ(files.Look().refused, "");
  EXPECT_EQ(ProblemOf(files), "");
}

TEST_F(ModelFilesTest, NothingIsJudgedWhileItIsBeingWritten) {
  ModelFiles files({.just_changed = Always, .settled = std::chrono::milliseconds(0)});
  Load(files);
  Overwrite(changed_);
  const ModelNews news = files.Look();
  EXPECT_NE(news.refused, "");
  EXPECT_FALSE(news.over);
}

TEST_F(ModelFilesTest, AFileThatWasCutShortIsNotTouched) {
  ModelFiles files({.just_changed = Never, .settled = std::chrono::milliseconds(0)});
  Load(files);
  fs::resize_file(shard_, 100);
  EXPECT_NE(ProblemOf(files).find("(it is 100 bytes long, not "), std::string::npos) << ProblemOf(files);
  EXPECT_TRUE(files.Look().over);
}

TEST_F(ModelFilesTest, OtherWeightsThatHaveNotSettledEndNothing) {
  ModelFiles files({.just_changed = Never, .settled = std::chrono::hours(1)});
  Load(files);
  Overwrite(changed_);
  EXPECT_NE(files.Look().refused, "");
  EXPECT_FALSE(files.Look().over);
}

TEST_F(ModelFilesTest, AnotherFileAtThePathIsNewsAndNoMore) {
  ModelFiles files({.just_changed = Never, .settled = std::chrono::milliseconds(0)});
  Load(files);
  WriteText(folder_ / "new", changed_);
  fs::rename(folder_ / "new", shard_);
  const ModelNews news = files.Look();
  EXPECT_EQ(news.refused, "");
  ASSERT_FALSE(news.lines.empty());
  EXPECT_EQ(news.lines.back(), shard_ +
                                   ": another file lies there since the model was loaded; what was loaded stays in "
                                   "use until the next start");
  EXPECT_EQ(ProblemOf(files), "");
  EXPECT_TRUE(files.Look().lines.empty());
}

TEST_F(ModelFilesTest, WhatWasCopiedAtTheLoadOrReadAsTextIsNews) {
  ModelFiles files({.just_changed = Never, .settled = std::chrono::milliseconds(0)});
  Load(files, false);
  Overwrite(changed_);
  WriteText(folder_ / "config.json", "{ }");
  EXPECT_EQ(ProblemOf(files), "");
  const ModelNews news = files.Look();
  EXPECT_EQ(news.refused, "");
  EXPECT_EQ(
      news.lines,
      (std::vector<std::string>{
          shard_ + ": it was written to since the model was loaded; what was loaded stays in use until the next start",
          (folder_ / "config.json") + ": it is 3 bytes long, not 2 since the model was loaded; what was loaded "
                                      "stays in use until the next start"}));
}

}  // namespace
}  // namespace diptych
