#include "render_node/jobs/recovery.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

using enum JobState;

constexpr int64_t kNow = 1'700'000'000'000;

class RecoveryTest : public testing::Test {
 protected:
  std::string JobIn(JobState state) {
    const std::string id = store_.Accept(SpecOf("a cat"), {}, kNow).id;
    MoveTo(id, state);
    return id;
  }
  // From queued, as if a worker took it there.
  void MoveTo(const std::string& id, JobState state) {
    diptych::MoveTo(store_, id, state, ProgressOf(*store_.Get(id)));
  }
  Recovery Recover(bool asked = false) {
    const LeaseOwner next_life{kOwner.name, "life " + std::to_string(++lives_)};
    return RecoverInterrupted(
        store_, next_life, [this](const std::string& id) { return checkpoints_[id]; }, kNow + 1, asked);
  }
  int32_t CrashesOf(const std::string& id) { return store_.Get(id)->crashes.count; }

  TemporaryFolder temporary_;
  StateFolder folder_{temporary_.path() / "state"};
  SqliteJobStore store_{folder_, RepeatableChance()};
  std::map<std::string, int32_t> checkpoints_;
  int lives_ = 1;
};

TEST_F(RecoveryTest, LeavesAloneWhatAnotherDaemonIsAtWorkOn) {
  const std::string own = JobIn(kEncoding), other = JobIn(kQueued);
  store_.Claim(other, kOtherOwner, kNow, 10'000);
  EXPECT_EQ(Recover().waiting, 1);
  EXPECT_EQ(store_.Get(own)->state, kQueued);
  EXPECT_EQ(store_.Get(other)->state, kEncoding);
  store_.Renew(kOtherOwner, kNow, 1);  // not heard of since
  EXPECT_EQ(Recover().waiting, 1);
  EXPECT_EQ(store_.Get(other)->state, kQueued);
}

TEST_F(RecoveryTest, MakesExactlyWhatWasUnderWayWaitAgain) {
  std::map<JobState, std::string> ids;
  for (const JobState state : {kQueued, kEncoding, kReady, kRendering, kDecoding, kDone}) ids[state] = JobIn(state);
  const Recovery recovery = Recover();
  EXPECT_EQ(recovery.waiting, 4);
  EXPECT_EQ(recovery.failed.size(), 0u);
  EXPECT_EQ(CountByState(store_), (std::map<JobState, int64_t>{{kQueued, 5}, {kDone, 1}}));
  EXPECT_EQ(store_.Get(ids[kRendering])->timings, JobTimings());
  EXPECT_EQ(store_.Get(ids[kRendering])->attempt, 1);
  EXPECT_EQ(Recover().waiting, 0);
}

TEST_F(RecoveryTest, SuspectsNobodyWhenTheDaemonHadBeenAskedToStop) {
  const std::string id = JobIn(kRendering);
  for (int stop = 0; stop < 3; ++stop) {
    EXPECT_EQ(Recover(/*asked=*/true).waiting, 1);
    EXPECT_EQ(CrashesOf(id), 0);
    MoveTo(id, kRendering);
  }
  Recover();
  EXPECT_EQ(CrashesOf(id), 1);
}

TEST_F(RecoveryTest, SuspectsWhatWasPaintedOrEncodedAndNotWhatWaited) {
  const std::string encoding = JobIn(kEncoding), waits = JobIn(kEncoding), ready = JobIn(kReady),
                    rendering = JobIn(kRendering);
  JobProgress progress;
  progress.detail = "no encoder answers";
  store_.SaveProgress({waits}, kEncoding, progress);
  Recover();
  EXPECT_EQ(CrashesOf(rendering), 1);
  EXPECT_EQ(CrashesOf(encoding), 1);
  EXPECT_EQ(CrashesOf(waits), 0);
  EXPECT_EQ(CrashesOf(ready), 0);
}

TEST_F(RecoveryTest, FailsAJobThatEndsTheDaemonThreeTimesAtOnePlace) {
  const std::string id = JobIn(kRendering), bystander = JobIn(kQueued);
  checkpoints_[id] = 1;
  for (int crash = 1; crash <= 2; ++crash) {
    EXPECT_EQ(Recover().failed.size(), 0u);
    EXPECT_EQ(CrashesOf(id), crash);
    MoveTo(id, kRendering);
  }
  EXPECT_EQ(Recover().failed.size(), 1u);
  const Job job = *store_.Get(id);
  EXPECT_EQ(job.state, kFailed);
  EXPECT_EQ(job.error_code, "INTERNAL");
  EXPECT_EQ(job.error, "the render daemon ended 3 times while it worked on this job, the last time after step 1 of 3");
  EXPECT_EQ(job.finished_unix_ms, kNow + 1);
  EXPECT_EQ(store_.Get(bystander)->state, kQueued);
}

TEST_F(RecoveryTest, CountsAnewWhenAJobGotFurther) {
  const std::string id = JobIn(kRendering);
  for (int step = 0; step < 10; ++step) {
    checkpoints_[id] = step;
    EXPECT_EQ(Recover().failed.size(), 0u);
    EXPECT_EQ(CrashesOf(id), 1) << "after step " << step;
    MoveTo(id, kRendering);
    if (step % 2 == 1) continue;
    EXPECT_EQ(Recover().failed.size(), 0u) << "a second time";
    EXPECT_EQ(CrashesOf(id), 2);
    MoveTo(id, kRendering);
  }
}

TEST_F(RecoveryTest, FailsAPromptThatEndsTheDaemonThreeTimes) {
  const std::string id = JobIn(kEncoding);
  for (int crash = 1; crash <= 2; ++crash) {
    Recover();
    MoveTo(id, kEncoding);
  }
  EXPECT_EQ(Recover().failed.size(), 1u);
  EXPECT_TRUE(Says(store_.Get(id)->error, "while its prompt was encoded")) << store_.Get(id)->error;
}

}  // namespace
}  // namespace diptych
