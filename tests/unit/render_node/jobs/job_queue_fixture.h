// A job queue on a real store in a folder of its own, with the steps of a worker as calls.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/recovery.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {

inline constexpr std::chrono::milliseconds kSoon{10'000};  // far beyond what anything here takes
inline constexpr std::chrono::milliseconds kNow{0};

class JobQueueTest : public testing::Test {
 protected:
  JobQueueTest() { Open(); }

  void Open(int64_t waiting_limit = 100) {
    queue_.reset();
    uploads_.reset();
    store_.reset();
    folder_.reset();
    folder_ = std::make_unique<StateFolder>(temporary_.path() / "state");
    store_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance(++lives_));
    RecoverInterrupted(
        *store_, Owner(), [](const std::string&) { return 0; }, clock_.unix_ms);
    uploads_ = std::make_unique<ConditioningFiles>(folder_->conditioning());
    scheduler_ = std::make_unique<FairScheduler>();
    queue_ = std::make_unique<JobQueue>(
        Parts(*store_, *scheduler_, {.waiting = waiting_limit, .prompt_bytes = 1000, .encode_ahead = 100}));
  }
  JobQueueParts Parts(JobStore& store, Scheduler& scheduler, const QueueLimits& limits) {
    return {.store = store,
            .uploads = *uploads_,
            .owner = Owner(),
            .scheduler = scheduler,
            .clock = clock_,
            .limits = limits};
  }
  LeaseOwner Owner() const { return {kOwner.name, "life " + std::to_string(lives_)}; }
  std::string Submit(const std::string& client = "") { return queue_->Submit(SpecOf("a cat", client), {})->id; }
  JobState StateOf(const std::string& id) { return queue_->Get(id)->state; }

  static ClaimedJob Claim(JobQueue& queue) { return *queue.ClaimToEncode(EncodeLane::kAny); }
  ClaimedJob Claim() { return Claim(*queue_); }

  // Claims the next job and moves it on until it is in `state`; one that is ready is in the queue's hands again.
  ClaimedJob ClaimUntil(JobState state) {
    using enum JobState;
    ClaimedJob claimed = Claim();
    if (state == kEncoding) return claimed;
    queue_->Advance(claimed.job, kReady);
    queue_->HandOver(claimed, std::make_shared<const JobInputs>());
    if (state == kReady) return claimed;
    claimed = *queue_->ClaimToRender();
    for (const JobState next : {kRendering, kDecoding, kDone}) {
      if (claimed.job.state == state) break;
      queue_->Advance(claimed.job, next);
    }
    return claimed;
  }

  TemporaryFolder temporary_;
  uint64_t lives_ = 0;
  FakeClock clock_;
  std::unique_ptr<FairScheduler> scheduler_;
  std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<SqliteJobStore> store_;
  std::unique_ptr<ConditioningFiles> uploads_;
  std::unique_ptr<JobQueue> queue_;
};

}  // namespace diptych
