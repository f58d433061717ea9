// The one place where clients, watchers and the worker meet: a bounded queue over a job store. The policy is the
// scheduler's, the truth is the store's; here are the threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/concurrency/cancel_token.h"
#include "common/concurrency/clock.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/job_store.h"
#include "render_node/jobs/job_watch.h"
#include "render_node/jobs/scheduler.h"

namespace diptych {

struct QueueLimits {
  int64_t waiting = 10'000;            // jobs
  int64_t prompt_bytes = 1024 * 1024;  // each prompt, all its parts together
};

struct SubmittedJob {
  std::string id;
  int64_t jobs_ahead = 0;  // in work or taken before it, if nobody else comes
};

// A job in the hands of a worker.
struct ClaimedJob {
  Job job;  // state encoding
  CancelToken cancel;
};

// Thread-safe.
class JobQueue {
 public:
  // Takes the store over: jobs on which work was under way when the daemon ended wait again. All must outlive the
  // queue; `scheduler` is empty and used by the queue alone. Throws Error when the store fails.
  JobQueue(JobStore& store, Scheduler& scheduler, const Clock& clock, const QueueLimits& limits);

  // How many jobs the daemon's end had interrupted.
  int64_t interrupted() const { return interrupted_; }

  // For services. Besides the codes named: what a failing store gives (job_store.h).

  // The job is on disk when this answers; work on it may have begun before. INVALID_ARGUMENT (ValidateSpec),
  // RESOURCE_EXHAUSTED (full), UNAVAILABLE (stopping).
  absl::StatusOr<SubmittedJob> Submit(const JobSpec& spec, const UploadedConditioning& uploaded);
  // Asks for the end of a job, in whatever state, and returns it; one in a terminal state is left as it is. The answer
  // is on disk; a worker stops at its next look at the token. NOT_FOUND.
  absl::StatusOr<Job> Cancel(const std::string& id);
  absl::StatusOr<Job> Get(const std::string& id);                  // NOT_FOUND
  absl::StatusOr<std::vector<Job>> List(const JobFilter& filter);  // INVALID_ARGUMENT
  // The present state at once, then the changes. NOT_FOUND.
  absl::StatusOr<std::unique_ptr<JobWatch>> Watch(const std::string& id);

  int64_t waiting() const;
  int64_t running() const;

  // Refuses new jobs, ends all watches, cancels the tokens of running jobs and wakes the workers.
  void Stop();
  bool stopping() const;
  // True as soon as the queue is stopping, false after `patience`.
  bool WaitForStop(std::chrono::milliseconds patience) const;

  // For workers. These throw Error when the store fails. A claimed job ends with Release.

  // Blocks until there is a job, whose attempt has then begun; nullopt when stopping. When the store fails the job
  // waits on.
  std::optional<ClaimedJob> Claim();
  // Stores the new state with all of `job`'s progress (JobStore::Sync is the caller's) and tells the watchers. Throws
  // Error(kCancelled) when the job was cancelled meanwhile; nothing is changed then. To queued, the job waits again and
  // is released.
  void Advance(Job& job, JobState to);
  // Progress within a state: to the watchers at once, to the store now and then.
  void Report(const Job& job);
  // The worker is through with the job; if its outcome could not be stored, its watches end all the same.
  void Release(const std::string& id);

 private:
  struct Running {
    Job job;  // fresher than the store in step, timings and detail
    CancelToken cancel;
    double saved_steady_ms = 0;  // when Report last went to the store
  };
  class Slot;

  Job Find(const std::string& id);
  Job CancelNow(const std::string& id);  // not yet on disk
  std::optional<ClaimedJob> Begin(const std::string& id);
  void FailUnreadable(const std::string& id, const std::string& why);
  std::shared_ptr<JobFeed> FeedOf(const std::string& id);
  void DropFeedIfOver(const std::string& id);
  void Forget(const std::string& id);   // as running
  Job Fresher(Job stored) const;        // called with mutex_ held
  void Publish(const Job& job);         // called with mutex_ held
  void EndFeed(const std::string& id);  // called with mutex_ held

  JobStore& store_;
  const Clock& clock_;
  const QueueLimits limits_;
  const int64_t interrupted_;

  // Never held during a call to the store, which may wait for the disk.
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;  // a job came, or Stop
  Scheduler& scheduler_;
  int64_t arriving_ = 0;  // submitted and not yet in the scheduler
  std::map<std::string, Running> running_;
  std::map<std::string, std::weak_ptr<JobFeed>> feeds_;  // of watched jobs that have not ended
  bool stopping_ = false;
};

}  // namespace diptych
