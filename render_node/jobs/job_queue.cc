#include "render_node/jobs/job_queue.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "common/error/error.h"
#include "common/status/status.h"
#include "render_node/jobs/job_id.h"

namespace diptych {
namespace {

constexpr double kSaveIntervalMs = 1000;

}  // namespace

// A place in the bounded queue, kept while the job is on its way to the disk.
class JobQueue::Slot {
 public:
  explicit Slot(JobQueue& queue) : queue_(queue) {
    const std::lock_guard lock(queue_.mutex_);
    if (queue_.stopping_) throw Error(ErrorCode::kUnavailable, "the render daemon is stopping; submit again later");
    if (queue_.scheduler_.size() + queue_.arriving_ >= queue_.limits_.waiting) {
      throw Error(ErrorCode::kResourceExhausted,
                  "the queue is full: " + std::to_string(queue_.limits_.waiting) + " jobs wait; submit again later");
    }
    ++queue_.arriving_;
  }
  ~Slot() {
    const std::lock_guard lock(queue_.mutex_);
    --queue_.arriving_;
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  JobQueue& queue_;
};

JobQueue::JobQueue(JobStore& store, Scheduler& scheduler, const Clock& clock, const QueueLimits& limits)
    : store_(store), clock_(clock), limits_(limits), interrupted_(store.RequeueUnfinished()), scheduler_(scheduler) {
  for (const QueuedJob& job : store_.Queued()) scheduler_.Add(job);
}

absl::StatusOr<SubmittedJob> JobQueue::Submit(const JobSpec& spec, const UploadedConditioning& uploaded) {
  return Guard([&]() -> SubmittedJob {
    ValidateSpec(spec, uploaded.positive.has_value(), limits_.prompt_bytes);
    const Slot slot(*this);
    SubmittedJob submitted{store_.Accept(spec, uploaded, clock_.UnixMs())};
    {
      const std::lock_guard lock(mutex_);
      scheduler_.Add({submitted.id, spec.client, spec.priority});
      submitted.jobs_ahead = scheduler_.Ahead(submitted.id) + static_cast<int64_t>(running_.size());
      changed_.notify_all();
    }
    // The disk is waited for while the work begins: a power cut before the answer loses a job that nobody was promised.
    try {
      store_.Sync();
    } catch (...) {
      CancelNow(submitted.id);
      throw;
    }
    return submitted;
  });
}

absl::StatusOr<Job> JobQueue::Cancel(const std::string& id) {
  return Guard([&] {
    Job job = CancelNow(id);
    store_.Sync();
    return job;
  });
}

absl::StatusOr<Job> JobQueue::Get(const std::string& id) {
  return Guard([&] { return Find(id); });
}

absl::StatusOr<std::vector<Job>> JobQueue::List(const JobFilter& filter) {
  return Guard([&] {
    std::vector<Job> jobs = store_.List(filter);
    const std::lock_guard lock(mutex_);
    for (Job& job : jobs) job = Fresher(std::move(job));
    return jobs;
  });
}

absl::StatusOr<std::unique_ptr<JobWatch>> JobQueue::Watch(const std::string& id) {
  return Guard([&] {
    // The feed is registered before the store is read, so that no change falls between.
    std::shared_ptr<JobFeed> feed = FeedOf(id);
    try {
      const Job job = Find(id);
      if (IsTerminal(job.state)) {
        feed->Publish(job);
      } else {
        feed->Offer(job);
      }
    } catch (...) {
      feed.reset();
      DropFeedIfOver(id);
      throw;
    }
    if (stopping()) feed->End();
    DropFeedIfOver(id);
    return std::make_unique<JobWatch>(std::move(feed));
  });
}

int64_t JobQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return scheduler_.size();
}

int64_t JobQueue::running() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(running_.size());
}

void JobQueue::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& [id, running] : running_) running.cancel.Cancel();
  for (const auto& [id, weak] : feeds_) {
    if (const auto feed = weak.lock()) feed->End();
  }
  changed_.notify_all();
}

bool JobQueue::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool JobQueue::WaitForStop(std::chrono::milliseconds patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [this] { return stopping_; });
}

std::optional<ClaimedJob> JobQueue::Claim() {
  for (;;) {
    QueuedJob next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || scheduler_.size() > 0; });
      if (stopping_) return std::nullopt;
      next = *scheduler_.Take();
    }
    try {
      if (std::optional<ClaimedJob> claimed = Begin(next.id)) return claimed;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      scheduler_.Add(next);
      throw;
    }
  }
}

void JobQueue::Advance(Job& job, JobState to) {
  Job next = job;
  next.state = to;
  if (to == JobState::kEncoding) ++next.attempt;
  if (IsTerminal(to)) next.finished_unix_ms = clock_.UnixMs();
  try {
    store_.Transition(job.id, job.state, to, ProgressOf(next));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kFailedPrecondition) throw;
    const std::optional<Job> stored = store_.Get(job.id);
    if (!stored || stored->state != JobState::kCancelled) throw;
    const std::lock_guard lock(mutex_);
    Publish(*stored);  // whoever cancelled it may not have come to that yet
    throw Error(ErrorCode::kCancelled, "cancelled");
  }
  job = next;
  const std::lock_guard lock(mutex_);
  if (const auto running = running_.find(job.id); running != running_.end()) running->second.job = job;
  Publish(job);
  if (to == JobState::kQueued) {
    running_.erase(job.id);
    scheduler_.Add({job.id, job.spec.client, job.spec.priority});
    changed_.notify_all();
  }
}

void JobQueue::Report(const Job& job) {
  {
    const std::lock_guard lock(mutex_);
    const auto running = running_.find(job.id);
    if (running == running_.end()) return;
    running->second.job = job;
    Publish(job);
    const double now = clock_.SteadyMs();
    if (now - running->second.saved_steady_ms < kSaveIntervalMs) return;
    running->second.saved_steady_ms = now;
  }
  try {
    store_.SaveProgress(job.id, job.state, ProgressOf(job));
  } catch (const Error&) {
    // A store that fails now fails the next transition too, and that one is reported.
  }
}

void JobQueue::Release(const std::string& id) {
  const std::lock_guard lock(mutex_);
  running_.erase(id);
  EndFeed(id);
}

void JobQueue::Forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  running_.erase(id);
}

Job JobQueue::Find(const std::string& id) {
  if (!IsJobId(id)) throw Error(ErrorCode::kNotFound, "there is no such job: an id is 26 digits and capital letters");
  std::optional<Job> stored = store_.Get(id);
  if (!stored) throw Error(ErrorCode::kNotFound, "there is no job " + id);
  const std::lock_guard lock(mutex_);
  return Fresher(*std::move(stored));
}

Job JobQueue::CancelNow(const std::string& id) {
  for (;;) {
    Job job = Find(id);
    if (IsTerminal(job.state)) return job;
    const JobState from = job.state;
    job.state = JobState::kCancelled;
    job.detail.clear();
    job.finished_unix_ms = clock_.UnixMs();
    try {
      store_.Transition(id, from, JobState::kCancelled, ProgressOf(job));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kFailedPrecondition) continue;  // it moved on in between: look again
      throw;
    }
    const std::lock_guard lock(mutex_);
    scheduler_.Remove(id);
    if (const auto running = running_.find(id); running != running_.end()) running->second.cancel.Cancel();
    Publish(job);
    return job;
  }
}

// Begins an attempt. Nullopt when the job was cancelled meanwhile, or cannot be read and has failed for that.
std::optional<ClaimedJob> JobQueue::Begin(const std::string& id) {
  ClaimedJob claimed;
  {
    // Before the state changes, so that a cancellation finds the token.
    const std::lock_guard lock(mutex_);
    Running& running = running_[id];
    running.cancel = claimed.cancel;
    running.saved_steady_ms = clock_.SteadyMs();
    if (stopping_) claimed.cancel.Cancel();
  }
  try {
    const std::optional<Job> job = store_.Get(id);
    if (job && job->state == JobState::kQueued) {
      claimed.job = *job;
      claimed.job.timings = {};
      claimed.job.timings.queue_ms = static_cast<double>(std::max<int64_t>(0, clock_.UnixMs() - job->accepted_unix_ms));
      Advance(claimed.job, JobState::kEncoding);
      return claimed;
    }
    Forget(id);
    return std::nullopt;
  } catch (const Error& error) {
    Forget(id);
    if (error.code() == ErrorCode::kCancelled) return std::nullopt;
    if (error.code() != ErrorCode::kDataLoss) throw;
    FailUnreadable(id, error.what());  // throws when the whole store is damaged, not only this job
    return std::nullopt;
  }
}

void JobQueue::FailUnreadable(const std::string& id, const std::string& why) {
  JobProgress progress;
  progress.error = why;
  progress.error_code = absl::StatusCodeToString(absl::StatusCode::kDataLoss);
  progress.finished_unix_ms = clock_.UnixMs();
  store_.Transition(id, JobState::kQueued, JobState::kFailed, progress);
  const std::lock_guard lock(mutex_);
  EndFeed(id);
}

Job JobQueue::Fresher(Job stored) const {
  const auto running = running_.find(stored.id);
  if (running == running_.end()) return stored;
  const Job& job = running->second.job;
  return job.id == stored.id && job.state == stored.state ? job : stored;
}

std::shared_ptr<JobFeed> JobQueue::FeedOf(const std::string& id) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<JobFeed> feed = feeds_[id].lock();
  if (feed == nullptr) feeds_[id] = feed = std::make_shared<JobFeed>();
  return feed;
}

void JobQueue::DropFeedIfOver(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(id);
  if (found == feeds_.end()) return;
  const std::shared_ptr<JobFeed> feed = found->second.lock();
  if (feed == nullptr || feed->ended()) feeds_.erase(found);
}

void JobQueue::EndFeed(const std::string& id) {
  const auto found = feeds_.find(id);
  if (found == feeds_.end()) return;
  if (const auto feed = found->second.lock()) feed->End();
  feeds_.erase(found);
}

void JobQueue::Publish(const Job& job) {
  const auto found = feeds_.find(job.id);
  if (found == feeds_.end()) return;
  const std::shared_ptr<JobFeed> feed = found->second.lock();
  if (feed != nullptr) feed->Publish(job);
  if (feed == nullptr || IsTerminal(job.state)) feeds_.erase(found);
}

}  // namespace diptych
