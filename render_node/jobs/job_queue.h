// The one place where clients, watchers and the workers meet: a bounded queue over a job store. The policy is the
// scheduler's, the truth is the store's, what is known beside it the QueueState's; here are the threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/concurrency/clock.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/job_inputs.h"
#include "render_node/jobs/job_store.h"
#include "render_node/jobs/job_uploads.h"
#include "render_node/jobs/job_watch.h"
#include "render_node/jobs/progress_writer.h"
#include "render_node/jobs/queue_state.h"
#include "render_node/jobs/scheduler.h"

namespace diptych {

// How long nobody else takes over what this daemon has claimed, should it not be heard of; renewed three times within.
inline constexpr int64_t kLeaseMs = 60'000;

struct SubmittedJob {
  std::string id;
  int64_t jobs_ahead = 0;  // in work or taken before it, if nobody else comes
  std::optional<double>
      wait_ms;         // until its picture is begun, as far as the last jobs tell; unset: no job was measured
  bool is_new = true;  // false: the idempotency key named a job that was there
};

// With RESOURCE_EXHAUSTED, the payload of this name is how many milliseconds later it is worth another try, as decimal
// text.
inline constexpr char kRetryAfterPayload[] = "diptych/retry-after-ms";

// Beside it, whose limit that is: "queue", "client" or "host".
inline constexpr char kLimitPayload[] = "diptych/limit";

// All must outlive the queue.
struct JobQueueParts {
  JobStore& store;
  ConditioningFiles& uploads;
  LeaseOwner owner;      // of what is claimed here
  Scheduler& scheduler;  // empty, and used by the queue alone
  const Clock& clock;
  QueueLimits limits = {};
  // Told of every job that comes to a terminal state, on the thread that brings it there. May be empty; must not throw.
  std::function<void(const Job&)> ended = {};
};

// Thread-safe.
class JobQueue {
 public:
  // Takes the waiting jobs over; what was under way when the daemon ended has been made to wait before
  // (RecoverInterrupted). Throws Error when the store fails.
  explicit JobQueue(JobQueueParts parts);

  // For services. Besides the codes named: what a failing store gives (job_store.h).

  // The job is on disk when this answers; work on it may have begun before. `stored`: it needs no encoder. `host`:
  // where it comes from; empty: nobody counts. INVALID_ARGUMENT (ValidateSpec), FAILED_PRECONDITION (idempotency key of
  // another job), RESOURCE_EXHAUSTED (full, with kRetryAfterPayload), UNAVAILABLE (stopping).
  absl::StatusOr<SubmittedJob> Submit(const JobSpec& spec, const UploadedConditioning& uploaded, bool stored = false,
                                      const std::string& host = "");
  // Asks for the end of a job, in whatever state, and returns it; one in a terminal state is left as it is. The answer
  // is on disk; a worker stops at its next look at the token. NOT_FOUND.
  absl::StatusOr<Job> Cancel(const std::string& id);
  // Forgets a job that has ended. NOT_FOUND, FAILED_PRECONDITION (it has not ended).
  absl::Status Delete(const std::string& id);
  absl::StatusOr<Job> Get(const std::string& id);                  // NOT_FOUND
  absl::StatusOr<std::vector<Job>> List(const JobFilter& filter);  // INVALID_ARGUMENT, CANCELLED
  // The present state at once, then the changes. NOT_FOUND.
  absl::StatusOr<std::unique_ptr<JobWatch>> Watch(const std::string& id, const JobWatchOptions& options = {});

  using Place = QueuePlace;
  using Outlook = JobOutlook;
  using Census = QueueCensus;
  // Of a job that is queued, encoding or ready; nullopt for others.
  std::optional<Place> PlaceOf(const std::string& id) const;
  Outlook OutlookOf(const Job& job) const;

  // Calls back whenever what these two say of any job may have changed, until the queue's end: on the thread that
  // changes it, with the queue locked, so `moved` must neither wait nor call the queue. Once.
  void OnMove(std::function<void()> moved);

  // From now on no job is begun, in this life of the daemon and the next, until Resume. What is in work is finished.
  // Returns the pause that holds: an earlier one stays. The answer is on disk.
  absl::StatusOr<QueuePause> Pause(const std::string& by);
  // The pause that has ended; nullopt: there was none.
  absl::StatusOr<std::optional<QueuePause>> Resume();
  std::optional<QueuePause> pause() const;

  int64_t encode_lanes() const { return state_.limits().encode_lanes; }
  int64_t client_limit() const {
    return state_.limits().client_waiting;
  }  // jobs of one client that may wait; 0: as all

  int64_t waiting() const;  // queued or ready
  int64_t running() const;  // encoded or painted now

  Census census() const;

  // Refuses new jobs, ends all watches, cancels the tokens of jobs in work and wakes the workers.
  void Stop();
  // For a daemon that ends without waiting for its workers, after Stop: what is in work waits again. What a worker
  // still does then is refused, as its attempt is not the job's any more. Throws Error when the store fails.
  void HandBackAll();
  bool stopping() const;
  // Blocks until no worker has a job; false when it takes longer than `patience`.
  bool AwaitWorkers(std::chrono::milliseconds patience) const;
  // True as soon as the queue is stopping, false after `patience`.
  bool WaitForStop(std::chrono::milliseconds patience) const;

  // Holds the jobs in work for kLeaseMs. Call it now and then; it seldom does anything. Throws Error when the store
  // fails.
  void RenewLeases();

  // Fails the jobs whose deadline has passed, waiting or in work. Call it now and then.
  void FailOverdue();

  // For workers. These throw Error when the store fails. A claimed job ends with HandOver or Release.

  // Blocks until there is a job to encode, whose attempt has then begun; nullopt when stopping. When the store fails
  // the job waits on.
  std::optional<ClaimedJob> ClaimToEncode(EncodeLane lane);
  // What was uploaded with a job.
  UploadedConditioning LoadUploads(const std::string& id) { return uploads_.Load(id); }
  // Leaves a job that was advanced to ready to ClaimToRender.
  void HandOver(const ClaimedJob& claimed, std::shared_ptr<const JobInputs> inputs);
  // Blocks until a job is ready; nullopt when stopping.
  std::optional<ClaimedJob> ClaimToRender();
  // The same job, and of the others that are ready at this moment up to `most` in all, oldest first, that may be
  // painted with it: those for which `fits` says so, which is called with the first and the other, and must not call
  // the queue. Only jobs in their first attempt are painted with others: a suspect of a crash is alone, so that it
  // harms nobody again, and so is one that may go on from a checkpoint. Empty when stopping.
  std::vector<ClaimedJob> ClaimToRender(int64_t most, const std::function<bool(const Job&, const Job&)>& fits);
  // Stores the new state with all of `job`'s progress (JobStore::Sync is the caller's) and tells the watchers. Throws
  // Error(kCancelled), with `job` as it is stored, when the job was ended meanwhile; nothing is changed then. One that
  // was forgotten too counts as cancelled. To queued, the job waits again and is released.
  void Advance(Job& job, JobState to);
  // Progress within a state: to the watchers at once, to the store now and then, and without waiting for it.
  void Report(const Job& job);
  void Report(const std::string& id, int32_t step, std::vector<uint8_t> preview_jpeg);
  bool WantsPreviews(const std::string& id) const { return feeds_.WantsPreviews(id); }
  // The terminal state of a job whose token is set while the queue is not stopping; puts its error into `job`.
  JobState EndOfCancelled(Job& job) const;
  // The worker is through with the job; if its outcome could not be stored, its watches end all the same.
  void Release(const std::string& id);

  // For the search among waiting jobs for those that need no encoder, while none answers.
  std::vector<std::string> NotStored() const;
  void MarkStored(const std::string& id);

 private:
  class Slot;

  Job Find(const std::string& id);
  // How a job ends without its worker: not yet on disk. Leaves one in a terminal state as it is.
  Job EndNow(const std::string& id, JobState to, const std::string& error, const std::string& error_code);
  std::optional<ClaimedJob> Begin(const QueuedJob& job);
  void FailAtDeadline(const std::string& id);
  void FailUnreadable(const std::string& id, const std::string& why);
  int64_t NextSequence(int64_t after);
  std::string AfterFailedSync(const AcceptedJob& accepted, const JobSpec& spec);

  void TellOfMove(const Job& job);
  void MovedLocked();

  JobStore& store_;
  JobUploads uploads_;
  const LeaseOwner owner_;
  const Clock& clock_;
  const std::function<void(const Job&)> ended_;
  JobFeeds feeds_;

  ProgressWriter progress_;

  // Never held during a call to the store, which may wait for the disk.
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;  // a job came, moved on or ended, or Stop
  QueueState state_;
  std::function<void()> moved_;  // may be empty
  int64_t last_sequence_ = 0;
  double renewed_steady_ms_ = 0;
  bool stopping_ = false;
};

}  // namespace diptych
