// What clients and operators hear of a queue: who is at work, what a job waits for, how long it may take.
#include <algorithm>
#include <numeric>

#include "render_node/jobs/queue_state.h"

namespace diptych {

// A job passes those that wait for an encoder when it needs none.
std::string QueueState::HeldUp(bool needs_encoder) const {
  std::string reason;
  for (const auto& [id, in_work] : in_work_) {
    if (needs_encoder ? in_work.stage != Stage::kEncoding : in_work.stage == Stage::kEncoding) continue;
    if (in_work.job.detail.empty()) return "";
    reason = in_work.job.detail;
  }
  return reason;
}

std::optional<QueuePlace> QueueState::PlaceOf(const std::string& id) const {
  const auto own = in_work_.find(id);
  const bool in_work = own != in_work_.end();
  const bool waits = in_work ? own->second.stage != Stage::kRendering : scheduler_.Contains(id);
  if (!waits) return std::nullopt;
  const QueuedJob* const queued = in_work ? nullptr : scheduler_.Find(id);
  const Scheduler::Sooner sooner = in_work ? Scheduler::Sooner{} : scheduler_.Ahead(id);
  const std::string client = in_work ? own->second.job.spec.client : queued == nullptr ? "" : queued->client;
  QueuePlace place{
      .jobs_ahead = sooner.jobs, .others_ahead = sooner.others, .wait_ms = {}, .held_up = {}, .pause = pause};
  LineAhead ahead{.work = sooner.work, .encode_work = sooner.encode_work, .lanes = limits_.encode_lanes};
  for (const auto& [other_id, other] : in_work_) {
    // Jobs are painted in the order in which they were taken.
    if (other_id == id || (in_work && other.stage != Stage::kRendering && other.claim > own->second.claim)) continue;
    ++place.jobs_ahead;
    if (other.job.spec.client != client) ++place.others_ahead;
    ahead.work += other.work;
    if (other.stage == Stage::kEncoding) ahead.encode_work += other.encode_work;
    if (other.stage != Stage::kRendering) continue;
    if (other.batch_time) Share(*other.batch_time);
    const double whole_ms = pace_.PaintTime(other.work).value_or(0);
    ahead.painted_ms += other.batch_time ? std::min(whole_ms, other.batch_time->share_ms) : whole_ms;
  }
  if (in_work) {
    if (own->second.stage == Stage::kEncoding) {
      ahead.encode_work += own->second.encode_work;
      ahead.encoded_ms = clock_.SteadyMs() - own->second.since_steady_ms;
    }
    place.held_up = own->second.stage == Stage::kEncoding ? own->second.job.detail : "";
  } else {
    if (queued != nullptr && !queued->stored) ahead.encode_work += queued->encode_work;
    place.held_up = HeldUp(/*needs_encoder=*/queued == nullptr || !queued->stored);
  }
  // Nobody knows when an encoder comes back, or somebody resumes the queue.
  if (place.held_up.empty() && !pause) place.wait_ms = pace_.UntilBegun(ahead);
  return place;
}

JobOutlook QueueState::OutlookOf(const Job& job) const {
  JobOutlook outlook;
  outlook.place = PlaceOf(job.id);
  if (outlook.place) {
    const std::optional<double> own = pace_.PaintTime(WorkOf(job.spec));
    if (outlook.place->wait_ms && own) outlook.until_done_ms = *outlook.place->wait_ms + *own;
  } else if (const auto in_work = in_work_.find(job.id); in_work != in_work_.end() && !IsTerminal(job.state)) {
    outlook.until_done_ms = UntilPainted(job, in_work->second);
  }
  return outlook;
}

QueueCensus QueueState::Census() const {
  QueueCensus census;
  census.jobs[static_cast<size_t>(JobState::kQueued)] = scheduler_.size();
  census.waiting_per_client = scheduler_.waiting_per_client();
  census.pause = pause;
  for (const auto& [id, in_work] : in_work_) {
    const Job& job = in_work.job;
    if (IsTerminal(job.state)) continue;
    ++census.jobs[static_cast<size_t>(job.state)];
    if (!in_work.held || (census.at_work && in_work.stage != Stage::kRendering)) continue;
    census.at_work = QueueCensus::AtWork{id, job.state, job.step, job.spec.Evaluations(), job.detail};
  }
  return census;
}

// Of one that is rendered or decoded. The decoder counts as two evaluations until one was measured.
std::optional<double> QueueState::UntilPainted(const Job& job, const InWorkJob& in_work) const {
  const double pixels = static_cast<double>(job.spec.width) * job.spec.height;
  const double since = clock_.SteadyMs() - in_work.since_steady_ms;
  const std::vector<double>& steps = job.timings.step_ms;
  const double step_ms =
      steps.empty() ? 0 : std::accumulate(steps.begin(), steps.end(), 0.0) / static_cast<double>(steps.size());
  std::optional<double> decode = pace_.DecodeTime(pixels);
  if (!decode && !steps.empty()) decode = step_ms * (job.spec.guidance_scale > 0 ? 1 : 2);
  if (job.state == JobState::kDecoding) {
    if (job.tiles_done > 0) return since / job.tiles_done * std::max(0, job.tiles - job.tiles_done);
    return decode ? std::optional(std::max(0.0, *decode - since)) : std::nullopt;
  }
  if (!steps.empty() && decode) return step_ms * std::max(0, job.spec.Evaluations() - job.step) + *decode;
  const std::optional<double> whole = pace_.PaintTime(in_work.work);
  return whole ? std::optional(std::max(0.0, *whole - since)) : std::nullopt;
}

}  // namespace diptych
