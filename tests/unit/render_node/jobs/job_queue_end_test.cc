// How jobs end in a queue: cancelled, overdue, failed, forgotten; each once, whoever else is at work.
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/sqlite_database.h"
#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"
#include "tests/unit/render_node/jobs/job_queue_fixture.h"

namespace diptych {
namespace {

using enum JobState;
using Outcome = JobWatch::Outcome;

class JobQueueEndTest : public JobQueueTest {};

TEST_F(JobQueueEndTest, CancelsAJobThatItCannotPromise) {
  FillableStore broken(*store_);
  FairScheduler scheduler;
  JobQueue queue(Parts(broken, scheduler, {100, 1000}));
  broken.on_sync = [] { throw Error(ErrorCode::kResourceExhausted, "cannot sync"); };
  EXPECT_EQ(queue.Submit(SpecOf("a cat", ""), {}).status(), absl::ResourceExhaustedError("cannot sync"));
  EXPECT_EQ(queue.waiting(), 0);
  EXPECT_EQ(CountByState(*store_), (std::map<JobState, int64_t>{{kCancelled, 1}}));
}

TEST_F(JobQueueEndTest, SaysThatAJobCouldNotBeTakenBack) {
  FillableStore broken(*store_);
  FairScheduler scheduler;
  JobQueue queue(Parts(broken, scheduler, {100, 1000}));
  broken.on_sync = [&] {
    broken.full = true;
    throw Error(ErrorCode::kUnavailable, "cannot sync");
  };
  const absl::Status status = queue.Submit(SpecOf("a cat", ""), {}).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_TRUE(Says(std::string(status.message()), "cannot sync; job ")) << status;
  EXPECT_TRUE(Says(std::string(status.message()), "could not be taken back and may be painted all the same")) << status;
  EXPECT_EQ(queue.waiting(), 1) << "and it is not lost either";
}

TEST_F(JobQueueEndTest, FailsAnOverdueJobLaterWhenTheStoreFailsAtItsDeadline) {
  FillableStore store(*store_);
  FairScheduler scheduler;
  JobQueue queue(Parts(store, scheduler, {100, 1000}));
  JobSpec spec = SpecOf("a cat");
  spec.timeout_ms = 1000;
  const std::string id = queue.Submit(spec, {})->id;
  clock_.Pass(1000);
  store.unreadable = true;
  EXPECT_TRUE(ErrorOf([&] { queue.FailOverdue(); }).has_value());
  store.unreadable = false;
  queue.FailOverdue();
  EXPECT_EQ(queue.Get(id)->state, kFailed);
}

TEST_F(JobQueueEndTest, TellsTheWorkerOfAJobThatWasCancelledAndForgotten) {
  Submit();
  ClaimedJob claimed = ClaimUntil(kRendering);
  ASSERT_TRUE(queue_->Cancel(claimed.job.id).ok());
  ASSERT_TRUE(queue_->Delete(claimed.job.id).ok());
  const std::optional<Error> error = ErrorOf([&] { queue_->Advance(claimed.job, kDecoding); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kCancelled) << error->what();
  EXPECT_EQ(claimed.job.state, kCancelled);
}

TEST_F(JobQueueEndTest, ForgetsAJobThatCannotBeReadAnyMore) {
  const std::string id = Submit();
  ClaimUntil(kDone);
  SqliteDatabase(folder_->database()).Execute("UPDATE job SET spec = '{' WHERE id = '" + id + "'");
  EXPECT_TRUE(absl::IsDataLoss(queue_->Get(id).status()));
  EXPECT_TRUE(queue_->Delete(id).ok());
}

TEST_F(JobQueueEndTest, ForgetsAJobThatHasEnded) {
  const std::string id = Submit();
  EXPECT_TRUE(absl::IsFailedPrecondition(queue_->Delete(id)));
  ClaimUntil(kDone);
  EXPECT_TRUE(queue_->Delete(id).ok());
  EXPECT_TRUE(absl::IsNotFound(queue_->Delete(id)));
  EXPECT_TRUE(absl::IsNotFound(queue_->Get(id).status()));
}

TEST_F(JobQueueEndTest, CancelsAJobInEveryState) {
  const std::string waiting = Submit();
  EXPECT_EQ(queue_->Cancel(waiting)->state, kCancelled);
  EXPECT_EQ(queue_->waiting(), 0);
  for (const JobState state : {kEncoding, kReady, kRendering, kDecoding}) {
    const std::string id = Submit();
    ClaimedJob claimed = ClaimUntil(state);
    EXPECT_FALSE(claimed.cancel.IsCancelled());
    clock_.unix_ms += 1;
    const Job answer = *queue_->Cancel(id);
    EXPECT_EQ(answer.state, kCancelled) << JobStateName(state);
    EXPECT_EQ(answer.finished_unix_ms, clock_.unix_ms);
    EXPECT_TRUE(claimed.cancel.IsCancelled());
    EXPECT_EQ(store_->Get(id)->state, kCancelled);
    EXPECT_EQ(ErrorOf([&] { queue_->Advance(claimed.job, kFailed); })->code(), ErrorCode::kCancelled);
    EXPECT_EQ(StateOf(id), kCancelled);
    queue_->Release(id);
  }
  for (const JobState state : {kDone, kFailed, kCancelled}) {
    const std::string id = Submit();
    if (state == kDone) {
      ClaimUntil(kDone);
    } else {
      store_->Transition({id}, kQueued, state, {});
    }
    EXPECT_EQ(queue_->Cancel(id)->state, state) << "a terminal state is left as it is";
  }
}

TEST_F(JobQueueEndTest, LeavesOutAJobThatWasCancelledBehindItsBack) {
  const std::string gone = Submit();
  const std::string next = Submit();
  store_->Transition({gone}, kQueued, kCancelled, {});
  EXPECT_EQ(Claim().job.id, next);
}

TEST_F(JobQueueEndTest, FailsAJobThatCannotBeReadAndGoesOn) {
  const std::string bad = Submit();
  const std::string good = Submit();
  const auto watch = *queue_->Watch(bad);
  SqliteDatabase(folder_->database()).Execute("UPDATE job SET spec = '{' WHERE id = '" + bad + "'");
  EXPECT_EQ(Claim().job.id, good);
  const std::vector<Job> failed = *queue_->List({.states = {kFailed}});
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].id, bad);
  EXPECT_EQ(failed[0].error_code, "DATA_LOSS");
  EXPECT_TRUE(Says(failed[0].error, "damaged")) << failed[0].error;
  Job job;
  watch->Next(kNow, &job);
  EXPECT_EQ(watch->Next(kNow, &job), Outcome::kEnded);
}

// Everything at once, for the thread sanitizer too: each job ends exactly once and every watcher sees how.
TEST_F(JobQueueEndTest, EndsEveryJobOnceUnderManyHands) {
  constexpr int kJobs = 24;
  Open(kJobs);
  std::mutex mutex;
  std::set<std::string> done;
  std::atomic<int> ended = 0;
  std::jthread worker([&] {
    while (auto claimed = queue_->ClaimToEncode(EncodeLane::kAny)) {
      const auto error = ErrorOf([&] {
        for (const JobState next : {kReady, kRendering, kDecoding, kDone}) {
          claimed->job.step += 1;
          queue_->Report(claimed->job);
          queue_->Advance(claimed->job, next);
        }
      });
      EXPECT_TRUE(!error || error->code() == ErrorCode::kCancelled) << error->what();
      const std::lock_guard lock(mutex);
      if (!error) {
        EXPECT_TRUE(done.insert(claimed->job.id).second);
      }
      queue_->Release(claimed->job.id);
    }
  });
  {
    std::vector<std::jthread> clients;
    for (int c = 0; c < 4; ++c) {
      clients.emplace_back([&, c] {
        for (int i = 0; i < kJobs / 4; ++i) {
          const std::string id = Submit("client" + std::to_string(c));
          const auto watch = *queue_->Watch(id);
          if (i % 2 == 0) {
            EXPECT_TRUE(queue_->Cancel(id).ok());
          }
          Job job;
          while (watch->Next(kSoon, &job) == Outcome::kJob) {
          }
          EXPECT_TRUE(IsTerminal(job.state)) << JobStateName(job.state);
          const std::lock_guard lock(mutex);
          EXPECT_EQ(job.state, store_->Get(id)->state);
          ++ended;
        }
      });
    }
  }
  queue_->Stop();
  worker.join();
  EXPECT_EQ(ended, kJobs);
  const auto counts = CountByState(*store_);
  EXPECT_EQ(static_cast<size_t>(counts.at(kDone)), done.size());
  EXPECT_EQ(counts.at(kDone) + (counts.contains(kCancelled) ? counts.at(kCancelled) : 0), kJobs);
  EXPECT_EQ(queue_->waiting(), 0);
  EXPECT_EQ(queue_->running(), 0);
}

TEST_F(JobQueueEndTest, AClockThatIsSetMovesNoDeadline) {
  JobSpec spec = SpecOf("a cat");
  spec.timeout_ms = 1000;
  const std::string id = queue_->Submit(spec, {})->id;
  clock_.unix_ms += 3'600'000;
  queue_->FailOverdue();
  EXPECT_EQ(StateOf(id), kQueued);
  clock_.unix_ms -= 7'200'000;
  clock_.steady_ms = clock_.steady_ms + 1000;
  queue_->FailOverdue();
  EXPECT_EQ(StateOf(id), kFailed);
}

TEST_F(JobQueueEndTest, HoldsItsJobsForAsLongAsItLivesAndNoLonger) {
  Submit();
  Claim();
  for (int minute = 0; minute < 4; ++minute) {
    for (int i = 0; i < 3; ++i) {
      clock_.Pass(20'000);
      queue_->RenewLeases();
    }
    EXPECT_TRUE(store_->TakeOver(kOtherOwner, clock_.UnixMs(), 1).empty());
  }
  clock_.Pass(kLeaseMs);
  EXPECT_EQ(store_->TakeOver(kOtherOwner, clock_.UnixMs(), 1).size(), 1u);
}

TEST_F(JobQueueEndTest, LeavesAJobThatAnotherHasClaimedToIt) {
  const std::string taken = Submit(), own = Submit();
  store_->Claim(taken, kOtherOwner, clock_.UnixMs(), 1000);
  EXPECT_EQ(Claim().job.id, own);
  EXPECT_EQ(store_->Get(taken)->attempt, 1);
}

TEST_F(JobQueueEndTest, TellsOnceOfEveryJobThatEndsHoweverItEnds) {
  FairScheduler scheduler;
  std::map<std::string, std::vector<JobState>> ended;
  JobQueueParts parts = Parts(*store_, scheduler, {});
  parts.ended = [&](const Job& job) { ended[job.id].push_back(job.state); };
  JobQueue queue(parts);
  const auto submit = [&](int64_t timeout_ms = 0) {
    JobSpec spec = SpecOf("a cat");
    spec.timeout_ms = timeout_ms;
    return queue.Submit(spec, {})->id;
  };
  const std::string painted = submit();
  ClaimedJob claimed = Claim(queue);
  queue.Advance(claimed.job, kReady);
  queue.HandOver(claimed, nullptr);
  claimed = *queue.ClaimToRender();
  for (const JobState next : {kRendering, kDecoding, kDone}) queue.Advance(claimed.job, next);
  queue.Release(painted);
  const std::string cancelled_at_work = submit();
  claimed = Claim(queue);
  const std::string cancelled = submit(), overdue = submit(5), waiting = submit();
  for (const std::string& id : {cancelled, cancelled_at_work, cancelled, painted}) ASSERT_TRUE(queue.Cancel(id).ok());
  EXPECT_THROW(queue.Advance(claimed.job, kReady), Error) << "its worker learns of it";
  queue.Release(cancelled_at_work);
  clock_.Pass(10);
  queue.FailOverdue();
  EXPECT_EQ(
      ended,
      (std::map<std::string, std::vector<JobState>>{
          {painted, {kDone}}, {cancelled_at_work, {kCancelled}}, {cancelled, {kCancelled}}, {overdue, {kFailed}}}));
}

}  // namespace
}  // namespace diptych
