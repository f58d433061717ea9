// What a queue shows to those who watch a job, over the lives of the daemon.
#include <future>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_queue_fixture.h"

namespace diptych {
namespace {

using enum JobState;
using Outcome = JobWatch::Outcome;

class JobQueueWatchTest : public JobQueueTest {};

TEST_F(JobQueueWatchTest, GoesOnWithTheWatcherWhereItWas) {
  const std::string id = Submit();
  Job job;
  (*queue_->Watch(id))->Next(kNow, &job);
  const int64_t seen = job.sequence;
  EXPECT_GT(seen, 0);
  const auto again = *queue_->Watch(id, {.after_sequence = seen});
  EXPECT_EQ(again->Next(kNow, &job), Outcome::kNothingNew);
  ClaimUntil(kRendering);
  EXPECT_EQ(again->Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.state, kRendering);
  EXPECT_GT(job.sequence, seen);
  const int64_t before_the_crash = job.sequence;
  clock_.unix_ms -= 3'600'000;  // set back between two lives
  Open();
  const auto later = *queue_->Watch(id, {.after_sequence = before_the_crash});
  EXPECT_EQ(later->Next(kNow, &job), Outcome::kJob) << "it waits again, which is new";
  EXPECT_EQ(job.state, kQueued);
  ClaimUntil(kDone);
  const int64_t last = queue_->Get(id)->sequence;
  EXPECT_GT(last, before_the_crash);
  EXPECT_EQ((*queue_->Watch(id, {.after_sequence = last}))->Next(kNow, &job), Outcome::kEnded);
}

TEST_F(JobQueueWatchTest, ShowsTheStepOfARunningJobBeforeTheStoreHasIt) {
  const std::string id = Submit();
  ClaimedJob claimed = ClaimUntil(kRendering);
  claimed.job.step = 2;
  queue_->Report(claimed.job);
  EXPECT_EQ(store_->Get(id)->step, 0) << "no wait for the disk with each step";
  EXPECT_EQ(queue_->Get(id)->step, 2);
  EXPECT_EQ(queue_->List({})->front().step, 2);
  clock_.steady_ms = 1000;
  queue_->Report(claimed.job);
  queue_.reset();  // by now it is written
  EXPECT_EQ(store_->Get(id)->step, 2) << "but now and then";
}

TEST_F(JobQueueWatchTest, GivesAWatcherThePresentStateThenTheChangesThenTheEnd) {
  const std::string id = Submit();
  const auto watch = *queue_->Watch(id);
  Job job;
  EXPECT_EQ(watch->Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.state, kQueued);
  EXPECT_EQ(watch->Next(kNow, &job), Outcome::kNothingNew);

  ClaimedJob claimed = Claim();
  EXPECT_EQ(watch->Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.state, kEncoding);
  for (const JobState next : {kReady, kRendering, kDecoding, kDone}) {
    queue_->Advance(claimed.job, next);
    EXPECT_EQ(watch->Next(kNow, &job), Outcome::kJob);
    EXPECT_EQ(job.state, next);
  }
  EXPECT_EQ(watch->Next(kNow, &job), Outcome::kEnded);
}

TEST_F(JobQueueWatchTest, GivesALateWatcherTheTerminalStateAtOnce) {
  const std::string id = Submit();
  ClaimUntil(kDone);
  const auto watch = *queue_->Watch(id);
  Job job;
  EXPECT_EQ(watch->Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(watch->Next(kNow, &job), Outcome::kEnded);
}

TEST_F(JobQueueWatchTest, LetsASlowWatcherMissStatesButNotTheLast) {
  const std::string id = Submit();
  const auto slow = *queue_->Watch(id);
  const auto quick = *queue_->Watch(id);
  Job job;
  ClaimedJob claimed = ClaimUntil(kRendering);
  for (int step = 1; step <= 1000; ++step) {
    claimed.job.step = step;
    queue_->Report(claimed.job);
    if (step % 100 == 0) {
      EXPECT_EQ(quick->Next(kNow, &job), Outcome::kJob);
      EXPECT_EQ(job.step, step);
    }
  }
  EXPECT_EQ(slow->Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.step, 1000);
  EXPECT_EQ(slow->Next(kNow, &job), Outcome::kNothingNew);
  queue_->Advance(claimed.job, kDecoding);
  queue_->Advance(claimed.job, kDone);
  EXPECT_EQ(slow->Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(slow->Next(kNow, &job), Outcome::kEnded);
}

TEST_F(JobQueueWatchTest, WakesAWatcherWhenTheJobIsCancelled) {
  const std::string id = Submit();
  const auto watch = *queue_->Watch(id);
  Job job;
  watch->Next(kNow, &job);
  auto next = std::async(std::launch::async, [&] { return watch->Next(kSoon, &job); });
  ASSERT_TRUE(queue_->Cancel(id).ok());
  EXPECT_EQ(next.get(), Outcome::kJob);
  EXPECT_EQ(job.state, kCancelled);
  EXPECT_EQ(watch->Next(kSoon, &job), Outcome::kEnded);
}

TEST_F(JobQueueWatchTest, EndsAllWatchesWhenStopped) {
  const std::string id = Submit();
  const auto watch = *queue_->Watch(id);
  Job job;
  watch->Next(kNow, &job);
  auto next = std::async(std::launch::async, [&] { return watch->Next(kSoon, &job); });
  queue_->Stop();
  EXPECT_EQ(next.get(), Outcome::kEnded);
  const auto late = *queue_->Watch(id);
  EXPECT_EQ(late->Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(late->Next(kNow, &job), Outcome::kEnded);
}

// What a worker reports and what ends the job are on their way at the same time.
TEST(JobFeed, KeepsTheEndWhateverNumberItHas) {
  const auto feed = std::make_shared<JobFeed>();
  JobWatch watch(feed, {});
  Job job;
  job.state = kRendering;
  job.sequence = 11;
  feed->Publish(job);
  job.state = kCancelled;
  job.sequence = 10;
  feed->Publish(job);
  job.state = kRendering;
  job.sequence = 12;
  feed->Publish(job);
  ASSERT_EQ(watch.Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.state, kCancelled);
  EXPECT_EQ(watch.Next(kNow, &job), Outcome::kEnded);
}

TEST(JobFeed, TellsHowTheJobEndedAlsoAfterItsWorkerHasLeft) {
  const auto feed = std::make_shared<JobFeed>();
  JobWatch watch(feed, {});
  feed->End();
  Job job;
  job.sequence = 5;
  feed->Publish(job);  // still on its way
  job.state = kFailed;
  job.sequence = 6;
  feed->Publish(job);
  ASSERT_EQ(watch.Next(kNow, &job), Outcome::kJob);
  EXPECT_EQ(job.state, kFailed);
  EXPECT_EQ(watch.Next(kNow, &job), Outcome::kEnded);
}

}  // namespace
}  // namespace diptych
