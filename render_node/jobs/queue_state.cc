#include "render_node/jobs/queue_state.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace diptych {
namespace {

constexpr double kSaveIntervalMs = 1000;
constexpr double kLongEncodeMs = 300;  // the prompt of a short one takes less, unless others take turns with it
constexpr double kMinRetryMs = 1000, kMaxRetryMs = 60'000;

std::string Seconds(double ms) { return std::to_string(std::lround(ms / 1000)) + " s"; }

bool IsPainted(const Job& job) { return job.state == JobState::kRendering || job.state == JobState::kDecoding; }

// One that was begun and waits again.
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

}  // namespace

QueueFull::QueueFull(const char* limit, const std::string& message, double retry_ms)
    : Error(ErrorCode::kResourceExhausted, message + "; try again in " + Seconds(retry_ms)),
      limit_(limit),
      retry_ms_(retry_ms) {}

void QueueState::Refuse(const char* limit, const std::string& message, double retry_ms) const {
  if (!pause) throw QueueFull(limit, message, retry_ms);
  throw QueueFull(
      limit,
      message + "; nothing goes on: the queue is paused by client \"" + pause->by + "\", and diptych resume ends that",
      retry_ms);
}

void QueueState::Reserve(const std::string& client, const std::string& host, int64_t bytes) {
  // A place becomes free with every picture.
  const double retry_ms = std::clamp(pace_.picture_ms().value_or(kMinRetryMs), kMinRetryMs, kMaxRetryMs);
  const int64_t waiting = scheduler_.size() + arriving_;
  const int64_t ahead = waiting + static_cast<int64_t>(in_work_.size());
  if (waiting >= limits_.waiting) {
    Refuse("queue",
           "the queue is full: " + std::to_string(limits_.waiting) + " jobs wait, and " + std::to_string(ahead) +
               " are ahead of a new one",
           retry_ms);
  }
  const auto arriving = arriving_of_.find(client);
  const int64_t own = scheduler_.waiting_of(client) + (arriving == arriving_of_.end() ? 0 : arriving->second);
  if (limits_.client_waiting > 0 && own >= limits_.client_waiting) {
    Refuse("client",
           "client \"" + client + "\" has " + std::to_string(own) + " jobs waiting, the limit for one is " +
               std::to_string(limits_.client_waiting) + "; " + std::to_string(ahead) + " wait or are worked on in all",
           retry_ms);
  }
  CheckShare(host, bytes, retry_ms);
  ++arriving_of_[client];
  ++arriving_;
  shares_.Reserve(host, bytes);
}

void QueueState::CheckShare(const std::string& host, int64_t bytes, double retry_ms) const {
  const HostShares::Share share = shares_.Of(host);
  if (limits_.host_jobs > 0 && share.jobs >= limits_.host_jobs) {
    Refuse("host",
           "host " + host + " has " + std::to_string(share.jobs) + " unfinished jobs, the limit for one is " +
               std::to_string(limits_.host_jobs) + " (render.host_queue_limit)",
           retry_ms);
  }
  if (limits_.host_bytes > 0 && share.jobs > 0 && share.bytes + bytes > limits_.host_bytes) {
    Refuse("host",
           "prompts and embeddings of the unfinished jobs of host " + host + " take " +
               std::to_string(share.bytes / 1'000'000) + " MB, the limit for one is " +
               std::to_string(limits_.host_bytes / 1'000'000) + " MB (render.host_queue_mb)",
           retry_ms);
  }
}

void QueueState::GiveBack(const std::string& client, const std::string& host, int64_t bytes) {
  --arriving_;
  shares_.Release(host, bytes);
  const auto own = arriving_of_.find(client);
  if (--own->second == 0) arriving_of_.erase(own);
}

void QueueState::Enqueue(const QueuedJob& job) {
  scheduler_.Add(job);
  shares_.Add(job.id, job.host, job.bytes);
  if (job.suspect) suspects_.insert(job.id);
  if (job.deadline_unix_ms > 0) {
    deadlines_.try_emplace(job.id, clock_.SteadyMs() + static_cast<double>(job.deadline_unix_ms - clock_.UnixMs()));
  }
}

std::optional<QueuedJob> QueueState::Begin(EncodeLane lane) {
  if (pause || !MayEncode(lane)) return std::nullopt;
  std::optional<QueuedJob> next = Next(lane);
  if (!next) return std::nullopt;
  InWorkJob& in_work = in_work_[next->id];
  in_work.job.id = next->id;
  in_work.job.spec.client = next->client;
  in_work.saved_steady_ms = clock_.SteadyMs();
  in_work.claim = ++claims_;
  in_work.work = next->work;
  in_work.encode_work = next->stored ? 0 : next->encode_work;
  in_work.since_steady_ms = in_work.saved_steady_ms;
  ++encoding_;
  return next;
}

bool QueueState::MayEncode(EncodeLane lane) const {
  if (!suspects_.empty()) {
    // Alone, so that only the guilty one is blamed again. What waits for an encoder does nothing meanwhile.
    const auto waits = [](const auto& entry) {
      return entry.second.stage == Stage::kEncoding && !entry.second.job.detail.empty();
    };
    if (lane == EncodeLane::kOther) return false;
    return lane == EncodeLane::kStored ? !in_work_.empty() && std::all_of(in_work_.begin(), in_work_.end(), waits)
                                       : in_work_.empty();
  }
  const int64_t lanes = std::min(limits_.encode_ahead, limits_.encode_lanes);
  if (lane == EncodeLane::kStored) return ready_.empty() && encoding_ >= lanes;
  if (lane == EncodeLane::kOther) {
    const auto is_long = [this](const auto& entry) {
      const InWorkJob& in_work = entry.second;
      return in_work.stage == Stage::kEncoding && in_work.job.detail.empty() &&
             clock_.SteadyMs() - in_work.since_steady_ms >= kLongEncodeMs;
    };
    return ready_.empty() && std::count_if(in_work_.begin(), in_work_.end(), is_long) >= lanes;
  }
  return encoding_ + static_cast<int64_t>(ready_.size()) < limits_.encode_ahead;
}

std::optional<double> QueueState::UntilLongEncode() const {
  std::optional<double> least;
  for (const auto& [id, in_work] : in_work_) {
    const double left = kLongEncodeMs - (clock_.SteadyMs() - in_work.since_steady_ms);
    if (in_work.stage == Stage::kEncoding && left > 0) least = std::max(1.0, std::min(left, least.value_or(left)));
  }
  return least;
}

std::optional<QueuedJob> QueueState::Next(EncodeLane lane) {
  if (lane != EncodeLane::kOther) return scheduler_.Take(lane == EncodeLane::kStored);
  return scheduler_.Take(false, [this](const std::string& client) {
    return std::none_of(in_work_.begin(), in_work_.end(), [&](const auto& entry) {
      return entry.second.stage == Stage::kEncoding && entry.second.job.spec.client == client;
    });
  });
}

void QueueState::PutBack(const QueuedJob& job) {
  Release(job.id);
  Enqueue(job);
}

CancelToken QueueState::TokenOf(const std::string& id) const { return in_work_.at(id).cancel; }

std::vector<CancelToken> QueueState::Tokens() const {
  std::vector<CancelToken> tokens;
  for (const auto& [id, in_work] : in_work_) tokens.push_back(in_work.cancel);
  return tokens;
}

bool QueueState::HandOver(const std::string& id, std::shared_ptr<const JobInputs> inputs) {
  const auto found = in_work_.find(id);
  if (found == in_work_.end()) return false;
  InWorkJob& in_work = found->second;
  if (IsTerminal(in_work.job.state)) {
    Release(id);
    return false;
  }
  --encoding_;
  in_work.stage = Stage::kReady;
  in_work.ready_steady_ms = clock_.SteadyMs();
  in_work.held = false;
  in_work.inputs = std::move(inputs);
  ready_.emplace(in_work.claim, id);
  return true;
}

std::vector<ClaimedJob> QueueState::TakeReady(int64_t most, const std::function<bool(const Job&, const Job&)>& fits) {
  const auto may_share = [](const Job& job) { return job.attempt <= 1 && job.crashes.count == 0; };
  std::vector<ClaimedJob> claimed;
  const auto batch_time = std::make_shared<BatchTime>();
  batch_time->until_steady_ms = clock_.SteadyMs();
  for (auto next = ready_.begin(); next != ready_.end() && batch_time->members < most;) {
    InWorkJob& in_work = in_work_.at(next->second);
    if (!claimed.empty()) {
      const Job& first = claimed.front().job;
      if (!may_share(first)) break;
      if (!may_share(in_work.job) || !fits(first, in_work.job)) {
        ++next;
        continue;
      }
    }
    in_work.stage = Stage::kRendering;
    in_work.job.timings.queue_ms += batch_time->until_steady_ms - in_work.ready_steady_ms;
    in_work.held = true;
    in_work.batch_time = batch_time;
    ++batch_time->members;
    claimed.push_back({in_work.job, in_work.cancel, std::move(in_work.inputs)});
    next = ready_.erase(next);
  }
  return claimed;
}

void QueueState::Release(const std::string& id) {
  const auto found = in_work_.find(id);
  if (found == in_work_.end()) return;
  if (found->second.stage == Stage::kEncoding) --encoding_;
  if (found->second.batch_time) Leave(found->second);
  suspects_.erase(id);
  scheduler_.Finished(found->second.job.spec.client);
  in_work_.erase(found);
}

void QueueState::MovedOn(const Job& job) {
  if (const auto found = in_work_.find(job.id); found != in_work_.end()) {
    InWorkJob& in_work = found->second;
    Measure(in_work, job);
    if (job.state == JobState::kDone && in_work.batch_time) pace_.Painted(Leave(in_work), in_work.work);
    in_work.job = job;
    in_work.since_steady_ms = clock_.SteadyMs();
  }
  Note(job);
  if (job.state != JobState::kQueued) return;
  Release(job.id);
  QueuedJob again = Waiting(job);
  again.host = shares_.HostOf(job.id);
  Enqueue(again);
}

std::optional<bool> QueueState::Reported(const Job& job) {
  const auto found = in_work_.find(job.id);
  if (found == in_work_.end() || IsTerminal(found->second.job.state)) return std::nullopt;
  InWorkJob& in_work = found->second;
  const bool new_detail = in_work.job.detail != job.detail;
  Measure(in_work, job);
  in_work.job = job;
  Note(job);
  const double now = clock_.SteadyMs();
  // A detail at once: a daemon that ends while a job waits must not blame it.
  if (!new_detail && now - in_work.saved_steady_ms < kSaveIntervalMs) return false;
  in_work.saved_steady_ms = now;
  return true;
}

std::optional<CancelToken> QueueState::Ended(const Job& job) {
  scheduler_.Remove(job.id);
  Note(job);
  const auto found = in_work_.find(job.id);
  if (found == in_work_.end()) return std::nullopt;
  CancelToken token = found->second.cancel;
  found->second.job = job;
  if (!found->second.held) {
    ready_.erase(found->second.claim);
    Release(job.id);
  }
  return token;
}

std::optional<CancelToken> QueueState::WantEnd(const Job& job) {
  const auto found = in_work_.find(job.id);
  if (found == in_work_.end()) return std::nullopt;
  found->second.wanted = job;
  return found->second.cancel;
}

std::optional<Job> QueueState::WantedEnd(const std::string& id) const {
  const auto found = in_work_.find(id);
  return found == in_work_.end() ? std::nullopt : found->second.wanted;
}

void QueueState::Forget(const std::string& id) {
  shares_.Remove(id);
  deadlines_.erase(id);
}

std::vector<std::string> QueueState::Overdue() const {
  std::vector<std::string> overdue;
  const double now = clock_.SteadyMs();
  for (const auto& [id, deadline] : deadlines_) {
    if (deadline <= now) overdue.push_back(id);
  }
  return overdue;
}

Job QueueState::Fresher(Job stored) const {
  const auto found = in_work_.find(stored.id);
  if (found == in_work_.end()) return stored;
  const Job& job = found->second.job;
  // Of equal ones the store has the same report without what it does not keep.
  return job.sequence >= stored.sequence && job.state == stored.state ? job : stored;
}

void QueueState::Freshen(Job& listed) {
  const auto found = in_work_.find(listed.id);
  if (found == in_work_.end()) return;
  Job& job = found->second.job;
  if (job.sequence < listed.sequence || job.state != listed.state) return;
  JobSpec shown = std::move(listed.spec);
  const bool shortened = listed.prompts_shortened;
  JobSpec whole = std::move(job.spec);  // set aside, not copied: it may be long, and others wait
  listed = job;
  job.spec = std::move(whole);
  listed.spec = std::move(shown);
  listed.prompts_shortened = shortened;
}

std::vector<Job> QueueState::InWork() const {
  std::vector<Job> jobs;
  for (const auto& [id, in_work] : in_work_) {
    if (!IsTerminal(in_work.job.state) && in_work.job.state != JobState::kQueued) jobs.push_back(in_work.job);
  }
  return jobs;
}

void QueueState::Note(const Job& job) {
  if (IsTerminal(job.state) || (IsPainted(job) && job.step > job.crashes.step)) suspects_.erase(job.id);
  if (!IsTerminal(job.state)) return;
  deadlines_.erase(job.id);
  shares_.Remove(job.id);
}

// What a job's progress says of the pace.
void QueueState::Measure(const InWorkJob& in_work, const Job& next) {
  const Job& before = in_work.job;
  const double pixels = static_cast<double>(next.spec.width) * next.spec.height;
  const double encoded_ms = next.timings.encode_ms + next.timings.transfer_ms;
  if (before.state == JobState::kEncoding && next.state == JobState::kReady && encoded_ms > 0) {
    pace_.Encoded(encoded_ms, in_work.encode_work);
  }
  if (next.step > before.step && !next.timings.step_ms.empty() && next.spec.Evaluations() > 0) {
    const double step = pixels * (next.spec.guidance_scale > 0 ? 2 : 1);
    pace_.Stepped(next.timings.step_ms.back(), step);
  }
  if (before.timings.decode_ms == 0 && next.timings.decode_ms > 0) pace_.Decoded(next.timings.decode_ms, pixels);
}

void QueueState::Share(BatchTime& batch_time) const {
  const double now = clock_.SteadyMs();
  batch_time.share_ms += (now - batch_time.until_steady_ms) / static_cast<double>(batch_time.members);
  batch_time.until_steady_ms = now;
}

double QueueState::Leave(InWorkJob& in_work) {
  const std::shared_ptr<BatchTime> batch_time = std::move(in_work.batch_time);
  Share(*batch_time);
  --batch_time->members;
  return batch_time->share_ms;
}

}  // namespace diptych
