// What a runner leaves to the next life of the daemon, and what it does while the disk is full.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/recovery.h"
#include "render_node/jobs/retention.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"
#include "tests/unit/render_node/jobs/job_runner_fixture.h"

namespace diptych {
namespace {

using enum JobState;
using std::chrono::milliseconds;

class JobRunnerRecoveryTest : public JobRunnerTest {};

TEST_F(JobRunnerRecoveryTest, HandsTheRunningJobBackWhenStoppedAndFinishesItInTheNextLife) {
  std::promise<void> in_step;
  std::atomic<bool> first_life = true;
  renderer_.on_step = [&](int32_t step, uint8_t) {
    if (!first_life || step != 1) return;
    in_step.set_value();
    while (!queue_->stopping()) std::this_thread::sleep_for(milliseconds(1));
  };
  const std::string running = Submit(SpecOf("cat"));
  const std::string waiting = Submit(SpecOf("dog"));
  Start();
  in_step.get_future().wait();
  runner_->Stop();
  EXPECT_EQ(store_->Get(running)->state, kQueued);
  EXPECT_EQ(store_->Get(running)->step, 0);
  EXPECT_EQ(store_->Get(running)->error, "");
  EXPECT_TRUE(changes_.ends_with(" queued")) << changes_;

  first_life = false;
  Open();
  EXPECT_LE(recovery_.waiting, 1) << "the other may have been ready; the running one was handed back";
  EXPECT_EQ(store_->Get(running)->crashes.count, 0);
  Start();
  EXPECT_EQ(Ended(running).state, kDone);
  EXPECT_EQ(Ended(waiting).state, kDone);
  EXPECT_EQ(PictureOf(running), "c-3");
}

TEST_F(JobRunnerRecoveryTest, KeepsACancelledJobCancelledWhenItStopsAtTheSameTime) {
  std::string id;
  std::promise<void> stopping;
  renderer_.on_step = [&](int32_t, uint8_t) {
    EXPECT_TRUE(queue_->Cancel(id).ok());
    queue_->Stop();
    stopping.set_value();
  };
  id = Submit(SpecOf("cat"));
  Start();
  stopping.get_future().wait();
  runner_->Stop();
  EXPECT_EQ(store_->Get(id)->state, kCancelled);
  EXPECT_EQ(changes_, " encoding ready rendering (sigmas 1 0) cancelled");
}

TEST_F(JobRunnerRecoveryTest, MakesOnePictureWhenALifeEndedBetweenPictureAndRow) {
  const std::string id = Submit(SpecOf("cat"));
  // As a crash between picture and row leaves it.
  ClaimedJob claimed = *queue_->ClaimToEncode(EncodeLane::kAny);
  for (const JobState state : {kReady, kRendering, kDecoding}) queue_->Advance(claimed.job, state);
  pictures_->Publish({'c', '-', '3'});
  Open();
  EXPECT_EQ(recovery_.waiting, 1);
  Start();
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(job.attempt, 2);
  EXPECT_EQ(PictureOf(id), "c-3");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_->pictures()), {}), 1);
}

// The attempt that lost its lease comes to its end when another has begun.
TEST_F(JobRunnerRecoveryTest, PublishesNothingForAnAttemptThatIsNotTheJobsOwn) {
  finish_ = [&](const FinishRequest& request) {
    const Job job = store_->List({.states = {kDecoding}}).front();
    store_->Transition({job.id}, kDecoding, kQueued, {});
    MoveTo(*store_, job.id, kDecoding);
    return request.picture.rgb;
  };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  Ended(id);
  runner_->Stop();
  EXPECT_EQ(store_->Get(id)->state, kDecoding) << "as the other attempt left it";
  EXPECT_EQ(store_->Get(id)->attempt, 2);
  EXPECT_EQ(store_->Get(id)->picture, "");
}

TEST_F(JobRunnerRecoveryTest, GoesOnFromTheCheckpointOfAnEarlierLife) {
  JobSpec spec = SpecOf("cat");
  spec.steps = 5;
  const std::string id = Submit(spec);
  std::promise<void> in_step;
  std::atomic<bool> first_life = true;
  std::vector<int32_t> painted;
  renderer_.on_step = [&](int32_t step, uint8_t) {
    if (!first_life) painted.push_back(step);
    if (!first_life || step != 4) return;
    in_step.set_value();
    while (!queue_->stopping()) std::this_thread::sleep_for(milliseconds(1));
  };
  Start();
  in_step.get_future().wait();
  runner_->Stop();
  first_life = false;
  changes_.clear();
  Open();
  Start();
  const Job job = Ended(id);
  runner_->Stop();
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(painted, (std::vector<int32_t>{5}));
  EXPECT_EQ(job.timings.step_ms, (std::vector<double>{10, 20, 30, 40, 50})) << "those of the earlier life too";
  EXPECT_EQ(job.step, 5);
  EXPECT_TRUE(Says(changes_, "from 4")) << changes_;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_->checkpoints()), {}), 0) << "it is of no use now";
}

TEST_F(JobRunnerRecoveryTest, StartsOverWhenTheCheckpointIsDamagedOrOfAnotherPicture) {
  for (const bool damaged : {true, false}) {
    Open();
    const std::string id = Submit(SpecOf("cat"));
    checkpoints_->Save(id, {"of another picture", LatentState{2, 1, 1, 1, {7}}, "{}"});
    EXPECT_EQ(checkpoints_->StepOf(id), 2);
    if (damaged) {
      for (const auto& file : std::filesystem::directory_iterator(folder_->checkpoints())) {
        std::filesystem::resize_file(file.path(), 20);
      }
    }
    std::atomic<int32_t> first_step = 0;
    renderer_.on_step = [&](int32_t step, uint8_t) {
      if (first_step == 0) first_step = step;
    };
    changes_.clear();
    Start();
    EXPECT_EQ(Ended(id).state, kDone);
    EXPECT_EQ(first_step, 1);
    runner_->Stop();
    EXPECT_TRUE(Says(changes_, "[")) << "the reason is told: " << changes_;
  }
}

TEST_F(JobRunnerRecoveryTest, PaintsOnWhenNoCheckpointCanBeWritten) {
  std::filesystem::remove_all(folder_->checkpoints());
  const std::string id = Submit(SpecOf("cat"));
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  EXPECT_EQ(PictureOf(id), "c-3");
}

// The disk is full when the deadline passes, or when somebody cancels: the work ends, and the row follows.
TEST_F(JobRunnerRecoveryTest, StopsTheWorkOnAJobAlsoWhenItsEndCannotBeStored) {
  std::promise<void> in_step;
  std::atomic<int> steps = 0;
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill == 'l' || fill == 'o') steps = step;
    if (fill == 'l' && step == 1) {
      store_->full = true;
      clock_.Pass(5000);
      EXPECT_THROW(queue_->FailOverdue(), Error);
    }
    if (fill == 'o' && step == 1) {
      store_->full = true;
      EXPECT_EQ(queue_->Cancel(queue_->List({})->front().id).status().code(), absl::StatusCode::kResourceExhausted);
    }
  };
  JobSpec spec = SpecOf("long");
  spec.timeout_ms = 5000;
  const std::string overdue = Submit(spec);
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(steps, 1);
  store_->full = false;
  const Job failed = Ended(overdue);
  EXPECT_EQ(failed.state, kFailed);
  EXPECT_EQ(failed.error_code, "DEADLINE_EXCEEDED");

  const int before = store_failures_;
  const std::string cancelled = Submit(SpecOf("other"));
  while (store_failures_ == before) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(steps, 1);
  store_->full = false;
  EXPECT_EQ(Ended(cancelled).state, kCancelled);
}

TEST_F(JobRunnerRecoveryTest, SyncsTheOutcomeOnceAndOnlyWhenPictureAndRowAreThere) {
  const std::string id = Submit(SpecOf("cat"));
  std::vector<std::string> synced;  // the job's state at each sync
  store_->on_sync = [&] {
    const Job job = *store_->Get(id);
    synced.push_back(std::string(JobStateName(job.state)) +
                     (!job.picture.empty() && pictures_->Has(job.picture) ? " with picture" : ""));
  };
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  runner_->Stop();
  EXPECT_EQ(synced, std::vector<std::string>{"done with picture"});
}

TEST_F(JobRunnerRecoveryTest, AnOutcomeThatCannotBeSyncedIsReportedAndStands) {
  const std::string id = Submit(SpecOf("cat"));
  store_->on_sync = [] { throw Error(ErrorCode::kInternal, "cannot sync"); };
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  runner_->Stop();
  EXPECT_EQ(store_failures_, 1);
  EXPECT_EQ(store_failed_for_, std::set<std::string>{id});
}

TEST_F(JobRunnerRecoveryTest, WaitsForAFullDiskInsteadOfLosingTheJob) {
  renderer_.on_decoded = [this] { store_->full = true; };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(queue_->Get(id)->detail, "database or disk is full");
  store_->full = false;
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(job.detail, "");
  EXPECT_EQ(PictureOf(id), "c-3");
  runner_->Stop();
  EXPECT_EQ(store_failed_for_, std::set<std::string>{id});
}

TEST_F(JobRunnerRecoveryTest, KeepsThePictureOfAJobWhoseRowWaitsForTheDisk) {
  ConditioningFiles uploads(folder_->conditioning());
  finish_ = [this](const FinishRequest& request) {
    store_->full = true;
    return request.picture.rgb;
  };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  for (const auto& file : std::filesystem::directory_iterator(folder_->pictures())) {  // the disk stays full for long
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(11));
  }
  const int before = store_failures_;
  while (store_failures_ == before) std::this_thread::sleep_for(milliseconds(1));  // another try
  InputStore inputs(folder_->inputs());
  Sweep(*store_, *pictures_, uploads, inputs, {}, clock_.UnixMs());
  store_->full = false;
  EXPECT_EQ(Ended(id).state, kDone);
  EXPECT_EQ(PictureOf(id), "c-3");
}

TEST_F(JobRunnerRecoveryTest, WaitsForALockedStoreBeforeItReadsTheUpload) {
  store_->locked = true;
  const std::string id = Submit(SpecOf("cat"), {ConditioningOf('u'), std::nullopt});
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(queue_->Get(id)->detail, "database is locked");
  store_->locked = false;
  EXPECT_EQ(Ended(id).state, kDone);
  EXPECT_EQ(PictureOf(id), "u-3");
}

TEST_F(JobRunnerRecoveryTest, StopsAlsoWhileTheDiskIsFull) {
  store_->full = true;
  const std::string id = Submit(SpecOf("cat"));
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  runner_->Stop();
  EXPECT_EQ(store_->Get(id)->state, kQueued);
  Open();
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
}

}  // namespace
}  // namespace diptych
