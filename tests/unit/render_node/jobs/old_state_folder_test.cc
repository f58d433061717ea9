// Folders that programs of earlier versions left, killed at work, opened by this one: nothing is lost.
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "common/conditioning/conditioning_hash.h"
#include "common/digest/sha256.h"
#include "gtest/gtest.h"
#include "render_node/jobs/checkpoint_store.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/job_uploads.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/jobs/recovery.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "render_node/jobs/sqlite_schema.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

using enum JobState;

const std::filesystem::path kData = DIPTYCH_SOURCE_DIR "/tests/unit/render_node/jobs/data";

// Made by diptych-renderd of version 0.1.0 with a job store of version 5 and the demo model: paused, one job done, one
// failed, one killed after 66 stored steps of 1000, three waiting, of which one brought its embeddings and one has a
// key. The log was then copied into the database, and the conditioning store left out.
class OldStateFolderTest : public testing::Test {
 protected:
  OldStateFolderTest() {
    std::filesystem::copy(kData / "state_v5", temporary_.path() / "state", std::filesystem::copy_options::recursive);
    folder_ = std::make_unique<StateFolder>(temporary_.path() / "state");
    store_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance());
    JobFilter all{.limit = kMaxListLimit};
    for (const Job& job : store_->List(all)) ids_[job.spec.prompt->user] = job.id;
  }

  TemporaryFolder temporary_;
  std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<SqliteJobStore> store_;
  std::map<std::string, std::string> ids_;  // by prompt
};

TEST_F(OldStateFolderTest, KeepsEveryJobWithItsStateAndOutcome) {
  EXPECT_EQ(SqliteDatabase(folder_->database()).Integer("PRAGMA user_version"),
            static_cast<int64_t>(JobStoreMigrations().size()));
  EXPECT_EQ(store_->warning(), "");
  EXPECT_EQ(CountByState(*store_),
            (std::map<JobState, int64_t>{{kQueued, 3}, {kRendering, 1}, {kDone, 1}, {kFailed, 1}}));
  const Job done = *store_->Get(ids_.at("a blue square"));
  EXPECT_EQ(done.state, kDone);
  EXPECT_EQ(done.spec.client, "ada");
  EXPECT_EQ(done.spec.seed, 5u);
  EXPECT_EQ(done.step, 2);
  EXPECT_EQ(done.timings.step_ms.size(), 2u);
  EXPECT_TRUE(done.spec.source.empty());
  const std::vector<uint8_t> png = PictureStore(folder_->pictures()).Load(done.picture);
  EXPECT_EQ(Sha256Hex(png.data(), png.size()), done.picture);
  EXPECT_EQ(static_cast<int64_t>(png.size()), done.picture_bytes);
  const Job failed = *store_->Get(ids_.at("a green circle"));
  EXPECT_EQ(failed.error_code, "INVALID_ARGUMENT");
  EXPECT_TRUE(Says(failed.error, "layer -900 is not from -4 to -1")) << failed.error;
  EXPECT_EQ(store_->Ended().size(), 2u);
  EXPECT_EQ(store_->LoadPause()->since_unix_ms, 1796093736462);
}

TEST_F(OldStateFolderTest, PutsTheJobThatWasInWorkBackAndKnowsHowFarItWas) {
  CheckpointStore checkpoints(folder_->checkpoints());
  const std::string id = ids_.at("a white circle");
  EXPECT_GE(checkpoints.StepOf(id), 66);
  const Recovery recovery = RecoverInterrupted(
      *store_, kOwner, [&](const std::string& job) { return checkpoints.StepOf(job); }, 1796093800000);
  EXPECT_EQ(recovery.waiting, 1) << "it belongs to nobody, and no lease holds it";
  const Job job = *store_->Get(id);
  EXPECT_EQ(job.state, kQueued);
  EXPECT_EQ(job.attempt, 1);
  EXPECT_EQ(job.crashes.count, 1);
}

TEST_F(OldStateFolderTest, GoesOnWithWhatWaitsInTheSameOrder) {
  FakeClock clock;
  clock.unix_ms = 1796093800000;
  RecoverInterrupted(
      *store_, kOwner, [](const std::string&) { return 66; }, clock.UnixMs());
  ConditioningFiles files(folder_->conditioning());
  FairScheduler scheduler;
  JobQueue queue({.store = *store_,
                  .uploads = files,
                  .owner = kOwner,
                  .scheduler = scheduler,
                  .clock = clock,
                  .limits = {.encode_ahead = 100}});
  EXPECT_EQ(queue.waiting(), 4);
  const UploadedConditioning uploaded = queue.LoadUploads(ids_.at("a red circle"));
  ASSERT_TRUE(uploaded.positive.has_value());
  EXPECT_EQ(ConditioningHash(*uploaded.positive), store_->Rows(ids_.at("a red circle")).positive);
  JobSpec again = store_->Get(ids_.at("a yellow triangle"))->spec;
  EXPECT_EQ(again.idempotency_key, "k9");
  EXPECT_FALSE(queue.Submit(again, {}, false, "127.0.0.1")->is_new);
  ASSERT_TRUE(queue.Resume().ok());
  const ClaimedJob first = *queue.ClaimToEncode(EncodeLane::kAny);
  EXPECT_EQ(first.job.id, ids_.at("a white circle")) << "what was interrupted, and alone, as a suspect";
  EXPECT_EQ(first.job.attempt, 2);
}

}  // namespace
}  // namespace diptych
