#include "render_node/jobs/job_queue.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "common/error/error.h"
#include "common/status/status.h"
#include "render_node/jobs/job_id.h"

namespace diptych {
namespace {

constexpr double kSaveIntervalMs = 1000;
constexpr double kLongEncodeMs = 300;  // the prompt of a short one takes less, unless others take turns with it
constexpr std::chrono::milliseconds kLookForLongEncodes{100};
constexpr double kMinRetryMs = 1000, kMaxRetryMs = 60'000;

QueuedJob Waiting(const Job& job) {
  return {.id = job.id,
          .client = job.spec.client,
          .priority = job.spec.priority,
          .deadline_unix_ms = job.deadline_unix_ms,
          .begun = job.attempt > 0,
          .suspect = job.crashes.count > 0,
          .work = WorkOf(job.spec),
          .encode_work = EncodeWorkOf(job.spec)};
}

void CheckId(const std::string& id) {
  if (!IsJobId(id)) throw Error(ErrorCode::kNotFound, "there is no such job: an id is 26 digits and capital letters");
}

std::string Seconds(double ms) { return std::to_string(std::lround(ms / 1000)) + " s"; }

class QueueFull : public Error {
 public:
  // `limit`: as kLimitPayload says.
  QueueFull(const char* limit, const std::string& message, double retry_ms)
      : Error(ErrorCode::kResourceExhausted, message + "; try again in " + Seconds(retry_ms)),
        limit_(limit),
        retry_ms_(retry_ms) {}
  absl::Status ToStatus() const {
    absl::Status status = absl::ResourceExhaustedError(what());
    status.SetPayload(kRetryAfterPayload, absl::Cord(std::to_string(std::lround(retry_ms_))));
    status.SetPayload(kLimitPayload, absl::Cord(limit_));
    return status;
  }

 private:
  const char* const limit_;
  const double retry_ms_;
};

}  // namespace

// A place in the bounded queue, kept while the job is on its way to the disk.
class JobQueue::Slot {
 public:
  Slot(JobQueue& queue, const std::string& client, const std::string& host, int64_t bytes)
      : queue_(queue), client_(client), host_(host), bytes_(bytes) {
    const std::lock_guard lock(queue_.mutex_);
    if (queue_.stopping_) throw Error(ErrorCode::kUnavailable, "the render daemon is stopping; submit again later");
    // A place becomes free with every picture.
    const double retry_ms = std::clamp(queue_.pace_.picture_ms().value_or(kMinRetryMs), kMinRetryMs, kMaxRetryMs);
    const int64_t waiting = queue_.scheduler_.size() + queue_.arriving_;
    if (waiting >= queue_.limits_.waiting) {
      throw QueueFull("queue",
                      "the queue is full: " + std::to_string(queue_.limits_.waiting) + " jobs wait, and " +
                          std::to_string(waiting + static_cast<int64_t>(queue_.in_work_.size())) +
                          " are ahead of a new one",
                      retry_ms);
    }
    const auto arriving = queue_.arriving_of_.find(client_);
    const int64_t own =
        queue_.scheduler_.waiting_of(client_) + (arriving == queue_.arriving_of_.end() ? 0 : arriving->second);
    if (queue_.limits_.client_waiting > 0 && own >= queue_.limits_.client_waiting) {
      throw QueueFull("client",
                      "client \"" + client_ + "\" has " + std::to_string(own) + " jobs waiting, the limit for one is " +
                          std::to_string(queue_.limits_.client_waiting) + "; " +
                          std::to_string(waiting + static_cast<int64_t>(queue_.in_work_.size())) +
                          " wait or are worked on in all",
                      retry_ms);
    }
    CheckShare(retry_ms);
    ++queue_.arriving_of_[client_];
    ++queue_.arriving_;
    queue_.shares_.Reserve(host_, bytes_);
  }
  ~Slot() {
    const std::lock_guard lock(queue_.mutex_);
    --queue_.arriving_;
    queue_.shares_.Release(host_, bytes_);
    const auto own = queue_.arriving_of_.find(client_);
    if (--own->second == 0) queue_.arriving_of_.erase(own);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  void CheckShare(double retry_ms) const {
    const HostShares::Share share = queue_.shares_.Of(host_);
    const QueueLimits& limits = queue_.limits_;
    if (limits.host_jobs > 0 && share.jobs >= limits.host_jobs) {
      throw QueueFull("host",
                      "host " + host_ + " has " + std::to_string(share.jobs) +
                          " unfinished jobs, the limit for one is " + std::to_string(limits.host_jobs) +
                          " (render.host_queue_limit)",
                      retry_ms);
    }
    if (limits.host_bytes > 0 && share.jobs > 0 && share.bytes + bytes_ > limits.host_bytes) {
      throw QueueFull("host",
                      "prompts and embeddings of the unfinished jobs of host " + host_ + " take " +
                          std::to_string(share.bytes / 1'000'000) + " MB, the limit for one is " +
                          std::to_string(limits.host_bytes / 1'000'000) + " MB (render.host_queue_mb)",
                      retry_ms);
    }
  }

  JobQueue& queue_;
  const std::string client_, host_;
  const int64_t bytes_;
};

JobQueue::JobQueue(JobQueueParts parts)
    : store_(parts.store),
      uploads_(parts.store, parts.uploads),
      owner_(std::move(parts.owner)),
      clock_(parts.clock),
      limits_(parts.limits),
      ended_(std::move(parts.ended)),
      scheduler_(parts.scheduler) {
  pause_ = store_.LoadPause();
  renewed_steady_ms_ = clock_.SteadyMs();
  std::vector<QueuedJob> waiting = store_.Queued();
  // Whose job was interrupted is served first.
  std::stable_partition(waiting.begin(), waiting.end(), [](const QueuedJob& job) { return job.begun; });
  for (const QueuedJob& job : waiting) Enqueue(job);
}

absl::StatusOr<SubmittedJob> JobQueue::Submit(const JobSpec& spec, const UploadedConditioning& uploaded, bool stored,
                                              const std::string& host) {
  try {
    const int64_t bytes = PromptBytes(spec) + BytesOf(uploaded);
    ValidateSpec(spec, uploaded.positive.has_value(), limits_.prompt_bytes);
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
        Enqueue(job);
        changed_.notify_all();
      }
      if (scheduler_.Contains(accepted.id)) {  // not a repeated one that has been begun
        const Place place = PlaceLocked(accepted.id);
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
    return full.ToStatus();
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
    for (Job& job : jobs) Freshen(job);
    return jobs;
  });
}

absl::StatusOr<std::unique_ptr<JobWatch>> JobQueue::Watch(const std::string& id, const WatchOptions& options) {
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

void JobQueue::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& [id, in_work] : in_work_) in_work.cancel.Cancel();
  feeds_.EndAll();
  changed_.notify_all();
}

void JobQueue::HandBackAll() {
  std::vector<Job> jobs;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, in_work] : in_work_) {
      if (!IsTerminal(in_work.job.state) && in_work.job.state != JobState::kQueued) jobs.push_back(in_work.job);
    }
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

bool JobQueue::WaitForStop(std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return stopping_; });
}

void JobQueue::RenewLeases() {
  {
    const std::lock_guard lock(mutex_);
    if (clock_.SteadyMs() - renewed_steady_ms_ < static_cast<double>(kLeaseMs) / 3) return;
    renewed_steady_ms_ = clock_.SteadyMs();
    if (in_work_.empty()) return;
  }
  store_.Renew(owner_, clock_.UnixMs(), kLeaseMs);
}

void JobQueue::FailOverdue() {
  std::vector<std::string> overdue;
  {
    const std::lock_guard lock(mutex_);
    const double now = clock_.SteadyMs();
    for (const auto& [id, deadline] : deadlines_) {
      if (deadline <= now) overdue.push_back(id);
    }
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
    deadlines_.erase(id);
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
        if (!pause_ && MayEncode(lane)) next = Next(lane);
        return next.has_value();
      };
      if (lane != EncodeLane::kOther) {
        changed_.wait(lock, found);
      } else {  // an encode becomes long without anything changing
        while (!changed_.wait_for(lock, kLookForLongEncodes, found)) {
        }
      }
      if (stopping_) return std::nullopt;
      // Before the state changes, so that a cancellation finds the token.
      InWork& in_work = in_work_[next->id];
      in_work.job.id = next->id;
      in_work.job.spec.client = next->client;
      in_work.saved_steady_ms = clock_.SteadyMs();
      in_work.claim = ++claims_;
      in_work.work = next->work;
      in_work.encode_work = next->stored ? 0 : next->encode_work;
      in_work.since_steady_ms = in_work.saved_steady_ms;
      ++encoding_;
      changed_.notify_all();  // it may have been the last place: then those whose conditioning is stored may pass
    }
    try {
      if (std::optional<ClaimedJob> claimed = Begin(*next)) {
        claimed->lane = lane;
        return claimed;
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      Drop(next->id);
      Enqueue(*next);
      throw;
    }
  }
}

void JobQueue::HandOver(const ClaimedJob& claimed, std::shared_ptr<const JobInputs> inputs) {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  const auto found = in_work_.find(claimed.job.id);
  if (found == in_work_.end()) return;
  if (IsTerminal(found->second.job.state)) {  // ended since Advance
    Drop(claimed.job.id);
    return;
  }
  --encoding_;
  found->second.stage = Stage::kReady;
  found->second.ready_steady_ms = clock_.SteadyMs();
  found->second.held = false;
  found->second.inputs = std::move(inputs);
  ready_.emplace(found->second.claim, claimed.job.id);
}

std::optional<ClaimedJob> JobQueue::ClaimToRender() {
  std::vector<ClaimedJob> claimed = ClaimToRender(1, [](const Job&, const Job&) { return false; });
  if (claimed.empty()) return std::nullopt;
  return std::move(claimed.front());
}

std::vector<ClaimedJob> JobQueue::ClaimToRender(int64_t most, const std::function<bool(const Job&, const Job&)>& fits) {
  const auto may_share = [](const Job& job) { return job.attempt <= 1 && job.crashes.count == 0; };
  std::vector<ClaimedJob> claimed;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || (!pause_ && !ready_.empty()); });
  if (stopping_) return claimed;
  const auto sitting = std::make_shared<Sitting>();
  sitting->until_steady_ms = clock_.SteadyMs();
  for (auto next = ready_.begin(); next != ready_.end() && sitting->members < most;) {
    InWork& in_work = in_work_.at(next->second);
    if (!claimed.empty()) {
      const Job& first = claimed.front().job;
      if (!may_share(first)) break;
      if (!may_share(in_work.job) || !fits(first, in_work.job)) {
        ++next;
        continue;
      }
    }
    in_work.stage = Stage::kRendering;
    in_work.job.timings.queue_ms += sitting->until_steady_ms - in_work.ready_steady_ms;
    in_work.held = true;
    in_work.sitting = sitting;
    ++sitting->members;
    claimed.push_back({in_work.job, in_work.cancel, std::move(in_work.inputs)});
    next = ready_.erase(next);
  }
  changed_.notify_all();  // there is room to encode ahead
  return claimed;
}

void JobQueue::Advance(Job& job, JobState to) {
  Job next = job;
  next.state = to;
  if (IsTerminal(to)) next.finished_unix_ms = clock_.UnixMs();
  next.sequence = NextSequence(job.sequence);
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
    const auto in_work = in_work_.find(job.id);
    if (in_work != in_work_.end()) {
      Measure(in_work->second, job);
      if (job.state == JobState::kDone && in_work->second.sitting) {
        pace_.Painted(Leave(in_work->second), in_work->second.work);
      }
      in_work->second.job = job;
      in_work->second.since_steady_ms = clock_.SteadyMs();
    }
    Note(job);
    if (job.state == JobState::kQueued) {
      Drop(job.id);
      QueuedJob again = Waiting(job);
      again.host = shares_.HostOf(job.id);
      Enqueue(again);
      changed_.notify_all();
    }
  }
  if (ended_ && IsTerminal(job.state)) ended_(job);  // before the watchers: what they ask then is counted
  feeds_.Publish(job);
}

void JobQueue::Report(const Job& job) {
  bool new_detail = false;  // stored at once: a daemon that ends while a job waits must not blame it
  Job next = job;
  next.sequence = NextSequence(job.sequence);
  {
    const std::lock_guard lock(mutex_);
    const auto in_work = in_work_.find(job.id);
    if (in_work == in_work_.end() || IsTerminal(in_work->second.job.state)) return;
    new_detail = in_work->second.job.detail != next.detail;
    Measure(in_work->second, next);
    in_work->second.job = next;
    Note(next);
  }
  feeds_.Publish(next);
  {
    const std::lock_guard lock(mutex_);
    const auto in_work = in_work_.find(job.id);
    if (in_work == in_work_.end()) return;
    const double now = clock_.SteadyMs();
    if (!new_detail && now - in_work->second.saved_steady_ms < kSaveIntervalMs) return;
    in_work->second.saved_steady_ms = now;
  }
  try {
    store_.SaveProgress({next.id, next.attempt}, next.state, ProgressOf(next));
  } catch (const Error&) {
    // A store that fails now fails the next transition too, and that one is reported.
  }
}

void JobQueue::Report(const std::string& id, int32_t step, std::vector<uint8_t> preview_jpeg) {
  feeds_.Publish(id, JobPreview{step, NextSequence(0), std::move(preview_jpeg)});
}

JobState JobQueue::EndOfCancelled(Job& job) const {
  const std::lock_guard lock(mutex_);
  const auto in_work = in_work_.find(job.id);
  if (in_work == in_work_.end() || !in_work->second.wanted) return JobState::kCancelled;
  const Job& wanted = *in_work->second.wanted;
  job.error = wanted.error;
  job.error_code = wanted.error_code;
  return wanted.state;
}

void JobQueue::Release(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    Drop(id);
    changed_.notify_all();
  }
  feeds_.End(id);
}

std::vector<std::string> JobQueue::NotStored() const {
  const std::lock_guard lock(mutex_);
  return scheduler_.NotStored();
}

void JobQueue::MarkStored(const std::string& id) {
  const std::lock_guard lock(mutex_);
  scheduler_.MarkStored(id);
  changed_.notify_all();
}

Job JobQueue::Find(const std::string& id) {
  CheckId(id);
  std::optional<Job> stored = store_.Get(id);
  if (!stored) throw Error(ErrorCode::kNotFound, "there is no job " + id);
  const std::lock_guard lock(mutex_);
  return Fresher(*std::move(stored));
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
    try {
      uploads_.Release(store_.Transition({id}, from, to, ProgressOf(job)));
    } catch (const Error& failure) {
      if (failure.code() == ErrorCode::kFailedPrecondition) continue;  // it moved on in between: look again
      const std::lock_guard lock(mutex_);  // the disk may be full: no more work is done for it all the same
      const auto in_work = in_work_.find(id);
      if (in_work == in_work_.end()) throw;
      in_work->second.wanted = job;
      in_work->second.cancel.Cancel();
      throw Error(failure.code(), failure.what() + std::string("; work on the job ends all the same"));
    }
    {
      const std::lock_guard lock(mutex_);
      scheduler_.Remove(id);
      Note(job);
      if (const auto in_work = in_work_.find(id); in_work != in_work_.end()) {
        in_work->second.cancel.Cancel();
        in_work->second.job = job;
        if (!in_work->second.held) {
          ready_.erase(in_work->second.claim);
          Drop(id);
        }
      }
      changed_.notify_all();
    }
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
    Drop(next.id);
    changed_.notify_all();
  };
  ClaimedJob claimed;
  {
    const std::lock_guard lock(mutex_);
    claimed.cancel = in_work_.at(next.id).cancel;
    if (stopping_) claimed.cancel.Cancel();
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
    shares_.Remove(id);
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

void JobQueue::Enqueue(const QueuedJob& job) {
  scheduler_.Add(job);
  shares_.Add(job.id, job.host, job.bytes);
  if (job.suspect) suspects_.insert(job.id);
  if (job.deadline_unix_ms > 0) {
    deadlines_.try_emplace(job.id, clock_.SteadyMs() + static_cast<double>(job.deadline_unix_ms - clock_.UnixMs()));
  }
}

void JobQueue::Note(const Job& job) {
  const bool painted = job.state == JobState::kRendering || job.state == JobState::kDecoding;
  if (IsTerminal(job.state) || (painted && job.step > job.crashes.step)) suspects_.erase(job.id);
  if (IsTerminal(job.state)) {
    deadlines_.erase(job.id);
    shares_.Remove(job.id);
  }
  if (painted) changed_.notify_all();
}

bool JobQueue::MayEncode(EncodeLane lane) const {
  if (!suspects_.empty()) {
    // Alone, so that only the guilty one is blamed again. What waits for an encoder does nothing meanwhile.
    const auto waits = [](const auto& entry) {
      return entry.second.stage == Stage::kEncoding && !entry.second.job.detail.empty();
    };
    if (lane == EncodeLane::kOther) return false;
    return lane == EncodeLane::kStored ? !in_work_.empty() && std::all_of(in_work_.begin(), in_work_.end(), waits)
                                       : in_work_.empty();
  }
  if (lane == EncodeLane::kStored) {
    return ready_.empty() && encoding_ >= std::min(limits_.encode_ahead, limits_.encode_lanes);
  }
  if (lane == EncodeLane::kOther) {
    const auto is_long = [this](const auto& entry) {
      const InWork& in_work = entry.second;
      return in_work.stage == Stage::kEncoding && in_work.job.detail.empty() &&
             clock_.SteadyMs() - in_work.since_steady_ms >= kLongEncodeMs;
    };
    return ready_.empty() && std::count_if(in_work_.begin(), in_work_.end(), is_long) >=
                                 std::min(limits_.encode_ahead, limits_.encode_lanes);
  }
  return encoding_ + static_cast<int64_t>(ready_.size()) < limits_.encode_ahead;
}

std::optional<QueuedJob> JobQueue::Next(EncodeLane lane) {
  if (lane != EncodeLane::kOther) return scheduler_.Take(lane == EncodeLane::kStored);
  return scheduler_.Take(false, [this](const std::string& client) {
    return std::none_of(in_work_.begin(), in_work_.end(), [&](const auto& entry) {
      return entry.second.stage == Stage::kEncoding && entry.second.job.spec.client == client;
    });
  });
}

void JobQueue::Drop(const std::string& id) {
  const auto found = in_work_.find(id);
  if (found == in_work_.end()) return;
  if (found->second.stage == Stage::kEncoding) --encoding_;
  if (found->second.sitting) Leave(found->second);
  suspects_.erase(id);
  scheduler_.Finished(found->second.job.spec.client);
  in_work_.erase(found);
}

// As Fresher, but for the specification, which a list has with shortened prompts.
void JobQueue::Freshen(Job& listed) {
  const auto in_work = in_work_.find(listed.id);
  if (in_work == in_work_.end()) return;
  Job& job = in_work->second.job;
  if (job.sequence < listed.sequence || job.state != listed.state) return;
  JobSpec shown = std::move(listed.spec);
  const bool shortened = listed.prompts_shortened;
  JobSpec whole = std::move(job.spec);  // set aside, not copied: it may be long, and others wait
  listed = job;
  job.spec = std::move(whole);
  listed.spec = std::move(shown);
  listed.prompts_shortened = shortened;
}

Job JobQueue::Fresher(Job stored) const {
  const auto in_work = in_work_.find(stored.id);
  if (in_work == in_work_.end()) return stored;
  const Job& job = in_work->second.job;
  // Of equal ones the store has the same report without what it does not keep.
  return job.sequence >= stored.sequence && job.state == stored.state ? job : stored;
}

}  // namespace diptych
