#include "render_node/jobs/job_queue.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "common/error/error.h"
#include "common/error/status.h"
#include "render_node/jobs/job_id.h"

namespace diptych {
namespace {

void CheckId(const std::string& id) {
  if (!IsJobId(id)) throw Error(ErrorCode::kNotFound, "there is no such job: an id is 26 digits and capital letters");
}

absl::Status ToStatus(const QueueFull& full) {
  absl::Status status = absl::ResourceExhaustedError(full.what());
  status.SetPayload(kRetryAfterPayload, absl::Cord(std::to_string(std::lround(full.retry_ms()))));
  status.SetPayload(kLimitPayload, absl::Cord(full.limit()));
  return status;
}

}  // namespace

// A place in the bounded queue, kept while the job is on its way to the disk.
class JobQueue::Slot {
 public:
  Slot(JobQueue& queue, const std::string& client, const std::string& host, int64_t bytes)
      : queue_(queue), client_(client), host_(host), bytes_(bytes) {
    const std::lock_guard lock(queue_.mutex_);
    if (queue_.stopping_) throw Error(ErrorCode::kUnavailable, "the render daemon is stopping; submit again later");
    queue_.state_.Reserve(client_, host_, bytes_);
  }
  ~Slot() {
    const std::lock_guard lock(queue_.mutex_);
    queue_.state_.GiveBack(client_, host_, bytes_);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  JobQueue& queue_;
  const std::string client_, host_;
  const int64_t bytes_;
};

JobQueue::JobQueue(JobQueueParts parts)
    : store_(parts.store),
      uploads_(parts.store, parts.uploads),
      owner_(std::move(parts.owner)),
      clock_(parts.clock),
      ended_(std::move(parts.ended)),
      progress_(parts.store),
      state_(parts.scheduler, parts.clock, parts.limits) {
  state_.pause = store_.LoadPause();
  renewed_steady_ms_ = clock_.SteadyMs();
  std::vector<QueuedJob> waiting = store_.Queued();
  // Whose job was interrupted is served first.
  std::stable_partition(waiting.begin(), waiting.end(), [](const QueuedJob& job) { return job.begun; });
  for (const QueuedJob& job : waiting) state_.Enqueue(job);
}

absl::StatusOr<SubmittedJob> JobQueue::Submit(const JobSpec& spec, const UploadedConditioning& uploaded, bool stored,
                                              const std::string& host) {
  try {
    const int64_t bytes = PromptBytes(spec) + BytesOf(uploaded);
    ValidateSpec(spec, uploaded.positive.has_value(), state_.limits().prompt_bytes);
    std::optional<Slot> slot;
    AcceptedJob accepted;
    try {
      slot.emplace(*this, spec.client, host, bytes);
      accepted = uploads_.Accept(spec, uploaded, clock_.UnixMs(), host);
    } catch (const QueueFull&) {  // one that was accepted already needs no place
      std::optional<std::string> known = uploads_.FindAccepted(spec, uploaded);
      if (!known) throw;
      accepted = {*std::move(known), false};
    }
    SubmittedJob submitted;
    submitted.id = accepted.id;
    submitted.is_new = accepted.is_new;
    {
      const std::lock_guard lock(mutex_);
      if (accepted.is_new) {
        QueuedJob job{.id = accepted.id, .client = spec.client, .priority = spec.priority};
        job.deadline_unix_ms = spec.timeout_ms > 0 ? clock_.UnixMs() + spec.timeout_ms : 0;
        job.stored = stored || uploaded.positive.has_value();
        job.work = WorkOf(spec);
        job.encode_work = EncodeWorkOf(spec);
        job.host = host;
        job.bytes = bytes;
        state_.Enqueue(job);
        MovedLocked();
      }
      if (state_.Waits(accepted.id)) {  // not a repeated one that has been begun
        const Place place = *state_.PlaceOf(accepted.id);
        submitted.jobs_ahead = place.jobs_ahead;
        submitted.wait_ms = place.wait_ms;
      }
    }
    slot.reset();  // counted as waiting by now
    // The disk is waited for while the work begins: a power cut before the answer loses a job that nobody was promised.
    try {
      store_.Sync();
    } catch (const Error& error) {
      throw Error(error.code(), error.what() + AfterFailedSync(accepted, spec));
    }
    return submitted;
  } catch (const QueueFull& full) {
    return ToStatus(full);
  } catch (...) {
    return StatusOfCurrentException();
  }
}

// What becomes of the job, for the client. One with an idempotency key stays: another try with the key, perhaps under
// way, may already count on it.
std::string JobQueue::AfterFailedSync(const AcceptedJob& accepted, const JobSpec& spec) {
  if (!spec.idempotency_key.empty()) return "; try again with the same idempotency key";
  try {
    EndNow(accepted.id, JobState::kCancelled, "", "");
    return "";
  } catch (const Error&) {
    return "; job " + accepted.id + " could not be taken back and may be painted all the same";
  }
}

absl::StatusOr<Job> JobQueue::Cancel(const std::string& id) {
  return Guard([&] {
    Job job = EndNow(id, JobState::kCancelled, "", "");
    store_.Sync();
    return job;
  });
}

absl::Status JobQueue::Delete(const std::string& id) {
  return Guard([&] {
    CheckId(id);  // and no more of it: a job that cannot be read can be forgotten
    if (!store_.Delete(id)) throw Error(ErrorCode::kNotFound, "there is no job " + id);
    store_.Sync();
  });
}

absl::StatusOr<Job> JobQueue::Get(const std::string& id) {
  return Guard([&] { return Find(id); });
}

absl::StatusOr<std::vector<Job>> JobQueue::List(const JobFilter& filter) {
  return Guard([&] {
    std::vector<Job> jobs = store_.List(filter);
    const std::lock_guard lock(mutex_);
    for (Job& job : jobs) state_.Freshen(job);
    return jobs;
  });
}

absl::StatusOr<std::unique_ptr<JobWatch>> JobQueue::Watch(const std::string& id, const JobWatchOptions& options) {
  return Guard([&] {
    // The feed is registered before the store is read, so that no change falls between.
    std::shared_ptr<JobFeed> feed = feeds_.Of(id);
    try {
      feed->Publish(Find(id));
    } catch (...) {
      feed.reset();
      feeds_.DropIfOver(id);
      throw;
    }
    if (stopping()) feed->End();
    feeds_.DropIfOver(id);
    return std::make_unique<JobWatch>(std::move(feed), options);
  });
}

absl::StatusOr<QueuePause> JobQueue::Pause(const std::string& by) {
  return Guard([&] {
    if (std::optional<QueuePause> before = pause()) return *before;
    const QueuePause pause{by, clock_.UnixMs()};
    store_.SavePause(pause);
    store_.Sync();
    const std::lock_guard lock(mutex_);
    state_.pause = pause;
    MovedLocked();
    return pause;
  });
}

absl::StatusOr<std::optional<QueuePause>> JobQueue::Resume() {
  return Guard([&] {
    std::optional<QueuePause> ended = pause();
    if (!ended) return ended;
    store_.SavePause(std::nullopt);
    store_.Sync();
    const std::lock_guard lock(mutex_);
    state_.pause.reset();
    MovedLocked();
    return ended;
  });
}

std::optional<QueuePause> JobQueue::pause() const {
  const std::lock_guard lock(mutex_);
  return state_.pause;
}

std::optional<JobQueue::Place> JobQueue::PlaceOf(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return state_.PlaceOf(id);
}

JobQueue::Outlook JobQueue::OutlookOf(const Job& job) const {
  const std::lock_guard lock(mutex_);
  return state_.OutlookOf(job);
}

int64_t JobQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return state_.waiting();
}

int64_t JobQueue::running() const {
  const std::lock_guard lock(mutex_);
  return state_.running();
}

JobQueue::Census JobQueue::census() const {
  const std::lock_guard lock(mutex_);
  return state_.Census();
}

void JobQueue::Stop() {
  std::vector<CancelToken> tokens;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    tokens = state_.Tokens();
    feeds_.EndAll();
    changed_.notify_all();
  }
  for (const CancelToken& token : tokens) token.Cancel();
}

void JobQueue::HandBackAll() {
  std::vector<Job> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs = state_.InWork();
  }
  for (Job& job : jobs) {
    const JobState from = job.state;
    job.step = 0;
    job.timings = job.timings.WaitAlone();
    job.detail.clear();
    job.sequence = NextSequence(job.sequence);
    try {
      store_.Transition({job.id, job.attempt}, from, JobState::kQueued, ProgressOf(job));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kFailedPrecondition && error.code() != ErrorCode::kNotFound) throw;
      // It moved on or ended in between: the next start sees to it.
    }
  }
  store_.Sync();
}

bool JobQueue::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool JobQueue::AwaitWorkers(std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return state_.running() == 0; });
}

void JobQueue::OnMove(std::function<void()> moved) {
  const std::lock_guard lock(mutex_);
  moved_ = std::move(moved);
}

void JobQueue::MovedLocked() {
  changed_.notify_all();
  if (moved_) moved_();
}

bool JobQueue::WaitForStop(std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return stopping_; });
}

void JobQueue::RenewLeases() {
  {
    const std::lock_guard lock(mutex_);
    if (clock_.SteadyMs() - renewed_steady_ms_ < static_cast<double>(kLeaseMs) / 3) return;
    renewed_steady_ms_ = clock_.SteadyMs();
    if (state_.IsIdle()) return;
  }
  store_.Renew(owner_, clock_.UnixMs(), kLeaseMs);
}

void JobQueue::FailOverdue() {
  std::vector<std::string> overdue;
  {
    const std::lock_guard lock(mutex_);
    overdue = state_.Overdue();
  }
  std::optional<Error> failure;
  for (const std::string& id : overdue) {
    try {
      FailAtDeadline(id);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kDataLoss) {  // else it fails for that when its turn comes
        failure.emplace(error.code(),
                        "the deadline of job " + id + " has passed and cannot be stored: " + error.what());
        continue;
      }
    }
    const std::lock_guard lock(mutex_);
    state_.ForgetDeadline(id);
  }
  if (failure) throw Error(*failure);
  if (!overdue.empty()) store_.Sync();
}

void JobQueue::FailAtDeadline(const std::string& id) {
  const std::optional<Job> job = store_.Get(id);
  if (!job || IsTerminal(job->state)) return;
  EndNow(id, JobState::kFailed,
         absl::StrFormat("its deadline passed %g s after it was accepted; it was %s",
                         static_cast<double>(job->spec.timeout_ms) / 1000, JobStateName(job->state)),
         absl::StatusCodeToString(absl::StatusCode::kDeadlineExceeded));
}

std::optional<ClaimedJob> JobQueue::ClaimToEncode(EncodeLane lane) {
  for (;;) {
    std::optional<QueuedJob> next;
    {
      std::unique_lock lock(mutex_);
      const auto found = [&] {
        if (stopping_) return true;
        next = state_.Begin(lane);
        return next.has_value();
      };
      while (!found()) {
        // An encode becomes long without anything changing.
        const std::optional<double> ms = lane == EncodeLane::kOther ? state_.UntilLongEncode() : std::nullopt;
        if (ms) {
          changed_.wait_for(lock, std::chrono::duration<double, std::milli>(*ms));
        } else {
          changed_.wait(lock);
        }
      }
      if (stopping_) return std::nullopt;
      MovedLocked();  // it may have been the last place: then those whose conditioning is stored may pass
    }
    try {
      if (std::optional<ClaimedJob> claimed = Begin(*next)) {
        claimed->lane = lane;
        return claimed;
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      state_.PutBack(*next);
      throw;
    }
  }
}

void JobQueue::HandOver(const ClaimedJob& claimed, std::shared_ptr<const JobInputs> inputs) {
  const std::lock_guard lock(mutex_);
  state_.HandOver(claimed.job.id, std::move(inputs));
  MovedLocked();
}

std::optional<ClaimedJob> JobQueue::ClaimToRender() {
  std::vector<ClaimedJob> claimed = ClaimToRender(1, [](const Job&, const Job&) { return false; });
  if (claimed.empty()) return std::nullopt;
  return std::move(claimed.front());
}

std::vector<ClaimedJob> JobQueue::ClaimToRender(int64_t most, const std::function<bool(const Job&, const Job&)>& fits) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || state_.MayPaint(); });
  if (stopping_) return {};
  std::vector<ClaimedJob> claimed = state_.TakeReady(most, fits);
  MovedLocked();  // there is room to encode ahead
  return claimed;
}

void JobQueue::Advance(Job& job, JobState to) {
  Job next = job;
  next.state = to;
  if (IsTerminal(to)) next.finished_unix_ms = clock_.UnixMs();
  next.sequence = NextSequence(job.sequence);
  progress_.Forget(job.id);
  try {
    uploads_.Release(store_.Transition({job.id, job.attempt}, job.state, to, ProgressOf(next)));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kFailedPrecondition && error.code() != ErrorCode::kNotFound) throw;
    const std::optional<Job> stored = store_.Get(job.id);
    if (stored && !IsTerminal(stored->state)) throw;
    if (stored) {
      job = *stored;
    } else {  // ended, and forgotten at once
      job.state = JobState::kCancelled;
    }
    feeds_.Publish(job);  // whoever ended it may not have come to that yet
    throw Error(ErrorCode::kCancelled, std::string(JobStateName(job.state)));
  }
  job = next;
  TellOfMove(job);
}

// What the queue knows of it, and then the watchers.
void JobQueue::TellOfMove(const Job& job) {
  {
    const std::lock_guard lock(mutex_);
    state_.MovedOn(job);
    MovedLocked();
  }
  if (ended_ && IsTerminal(job.state)) ended_(job);  // before the watchers: what they ask then is counted
  feeds_.Publish(job);
}

void JobQueue::Report(const Job& job) {
  Job next = job;
  next.sequence = NextSequence(job.sequence);
  std::optional<bool> is_due;
  {
    const std::lock_guard lock(mutex_);
    is_due = state_.Reported(next);
    if (!is_due) return;
    MovedLocked();
  }
  feeds_.Publish(next);
  if (*is_due) progress_.Save({next.id, next.attempt}, next.state, ProgressOf(next));
}

void JobQueue::Report(const std::string& id, int32_t step, std::vector<uint8_t> preview_jpeg) {
  feeds_.Publish(id, JobPreview{step, NextSequence(0), std::move(preview_jpeg)});
}

JobState JobQueue::EndOfCancelled(Job& job) const {
  const std::lock_guard lock(mutex_);
  const std::optional<Job> wanted = state_.WantedEnd(job.id);
  if (!wanted) return JobState::kCancelled;
  job.error = wanted->error;
  job.error_code = wanted->error_code;
  return wanted->state;
}

void JobQueue::Release(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    state_.Release(id);
    MovedLocked();
  }
  feeds_.End(id);
}

std::vector<std::string> JobQueue::NotStored() const {
  const std::lock_guard lock(mutex_);
  return state_.NotStored();
}

void JobQueue::MarkStored(const std::string& id) {
  const std::lock_guard lock(mutex_);
  state_.MarkStored(id);
  MovedLocked();
}

Job JobQueue::Find(const std::string& id) {
  CheckId(id);
  std::optional<Job> stored = store_.Get(id);
  if (!stored) throw Error(ErrorCode::kNotFound, "there is no job " + id);
  const std::lock_guard lock(mutex_);
  return state_.Fresher(*std::move(stored));
}

Job JobQueue::EndNow(const std::string& id, JobState to, const std::string& error, const std::string& error_code) {
  for (;;) {
    Job job = Find(id);
    if (IsTerminal(job.state)) return job;
    const JobState from = job.state;
    job.state = to;
    job.error = error;
    job.error_code = error_code;
    job.detail.clear();
    job.finished_unix_ms = clock_.UnixMs();
    job.sequence = NextSequence(job.sequence);
    progress_.Forget(id);
    try {
      uploads_.Release(store_.Transition({id}, from, to, ProgressOf(job)));
    } catch (const Error& failure) {
      if (failure.code() == ErrorCode::kFailedPrecondition) continue;  // it moved on in between: look again
      std::optional<CancelToken> token;  // the disk may be full: no more work is done for it all the same
      {
        const std::lock_guard lock(mutex_);
        token = state_.WantEnd(job);
      }
      if (!token) throw;
      token->Cancel();
      throw Error(failure.code(), failure.what() + std::string("; work on the job ends all the same"));
    }
    std::optional<CancelToken> token;
    {
      const std::lock_guard lock(mutex_);
      token = state_.Ended(job);
      MovedLocked();
    }
    if (token) token->Cancel();
    if (ended_) ended_(job);
    feeds_.Publish(job);
    return job;
  }
}

// Begins an attempt. Nullopt when the job was ended or claimed by another meanwhile, or cannot be read and has failed
// for that.
std::optional<ClaimedJob> JobQueue::Begin(const QueuedJob& next) {
  const auto forget = [&] {
    const std::lock_guard lock(mutex_);
    state_.Release(next.id);
    MovedLocked();
  };
  ClaimedJob claimed;
  {
    const std::lock_guard lock(mutex_);
    claimed.cancel = state_.TokenOf(next.id);
    if (stopping_) claimed.cancel.Cancel();  // nobody else has it yet
  }
  try {
    if (std::optional<Job> job = store_.Claim(next.id, owner_, clock_.UnixMs(), kLeaseMs)) {
      claimed.job = *std::move(job);
      TellOfMove(claimed.job);
      return claimed;
    }
    forget();
    return std::nullopt;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDataLoss) throw;
    forget();
    FailUnreadable(next.id, error.what());  // throws when all is damaged
    return std::nullopt;
  }
}

void JobQueue::FailUnreadable(const std::string& id, const std::string& why) {
  JobProgress progress;
  progress.error = why;
  progress.error_code = absl::StatusCodeToString(absl::StatusCode::kDataLoss);
  progress.finished_unix_ms = clock_.UnixMs();
  progress.sequence = NextSequence(0);
  uploads_.Release(store_.Transition({id}, JobState::kQueued, JobState::kFailed, progress));
  {
    const std::lock_guard lock(mutex_);
    state_.Forget(id);
  }
  if (ended_) {
    Job failed;
    failed.id = id;
    failed.state = JobState::kFailed;
    failed.error = progress.error;
    failed.error_code = progress.error_code;
    ended_(failed);
  }
  feeds_.End(id);
}

// Microseconds since 1970, or one more than the last: greater than any of an earlier life unless the clock was set
// back, and then greater than this job's last all the same.
int64_t JobQueue::NextSequence(int64_t after) {
  const std::lock_guard lock(mutex_);
  last_sequence_ = std::max({last_sequence_ + 1, after + 1, clock_.UnixMs() * 1000});
  return last_sequence_;
}

}  // namespace diptych
