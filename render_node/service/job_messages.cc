#include "render_node/service/job_messages.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

constexpr std::array<std::pair<JobState, v1::JobState>, kJobStates.size()> kStates = {{
    {JobState::kQueued, v1::JOB_STATE_QUEUED},
    {JobState::kEncoding, v1::JOB_STATE_ENCODING},
    {JobState::kReady, v1::JOB_STATE_READY},
    {JobState::kRendering, v1::JOB_STATE_RENDERING},
    {JobState::kDecoding, v1::JOB_STATE_DECODING},
    {JobState::kDone, v1::JOB_STATE_DONE},
    {JobState::kFailed, v1::JOB_STATE_FAILED},
    {JobState::kCancelled, v1::JOB_STATE_CANCELLED},
}};

void Put(const PromptFit& fit, v1::PromptFit* message) {
  message->set_token_count(fit.token_count);
  message->set_rows(fit.rows);
}

}  // namespace

v1::JobState ToProto(JobState state) {
  for (const auto& [known, wire] : kStates) {
    if (known == state) return wire;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

v1::JobTimings ToProto(const JobTimings& timings) {
  v1::JobTimings message;
  message.set_queue_ms(timings.queue_ms);
  message.set_encode_ms(timings.encode_ms);
  message.set_transfer_ms(timings.transfer_ms);
  message.set_refine_ms(timings.refine_ms);
  message.mutable_step_ms()->Add(timings.step_ms.begin(), timings.step_ms.end());
  message.set_decode_ms(timings.decode_ms);
  message.set_png_ms(timings.png_ms);
  message.set_total_ms(timings.total_ms);
  return message;
}

v1::Job ToProto(const Job& job) {
  v1::Job message;
  message.set_id(job.id);
  message.set_state(ToProto(job.state));
  *message.mutable_spec() = ToProto(job.spec);
  message.set_step(job.step);
  message.set_error(job.error);
  message.set_error_code(job.error_code);
  message.set_accepted_unix_ms(job.accepted_unix_ms);
  message.set_finished_unix_ms(job.finished_unix_ms);
  *message.mutable_timings() = ToProto(job.timings);
  message.set_attempt(job.attempt);
  message.set_sequence(job.sequence);
  message.set_sigma(job.sigma);
  if (const std::vector<double>& done = job.timings.step_ms; job.state == JobState::kRendering && !done.empty()) {
    const double mean = std::accumulate(done.begin(), done.end(), 0.0) / static_cast<double>(done.size());
    message.set_left_ms(mean * std::max(0, job.spec.Evaluations() - job.step));
  }
  message.set_deadline_unix_ms(job.deadline_unix_ms);
  if (job.picture != job.id) message.set_picture_sha256(job.picture);
  message.set_picture_bytes(job.picture_bytes);
  message.set_detail(job.detail);
  message.set_prompts_shortened(job.prompts_shortened);
  if (job.state == JobState::kDecoding && job.tiles > 0) {
    message.mutable_decoding()->set_tiles_done(job.tiles_done);
    message.mutable_decoding()->set_tiles(job.tiles);
  }
  if (job.fits.prompt) Put(*job.fits.prompt, message.mutable_prompt_fit());
  if (job.fits.negative) Put(*job.fits.negative, message.mutable_negative_fit());
  return message;
}

v1::Job ToProto(const Job& job, const JobQueue::Outlook& outlook) {
  v1::Job message = ToProto(job);
  if (outlook.until_done_ms) message.set_until_done_ms(*outlook.until_done_ms);
  if (outlook.place) *message.mutable_place() = ToProto(*outlook.place);
  return message;
}

v1::QueuePause ToProto(const QueuePause& pause) {
  v1::QueuePause message;
  message.set_by(pause.by);
  message.set_since_unix_ms(pause.since_unix_ms);
  return message;
}

v1::QueuePlace ToProto(const JobQueue::Place& place) {
  v1::QueuePlace message;
  message.set_jobs_ahead(static_cast<int32_t>(place.jobs_ahead));
  message.set_others_ahead(static_cast<int32_t>(place.others_ahead));
  if (place.wait_ms) message.set_wait_ms(*place.wait_ms);
  message.set_held_up(place.held_up);
  if (place.pause) *message.mutable_pause() = ToProto(*place.pause);
  return message;
}

absl::StatusOr<JobState> FromProto(v1::JobState state) {
  for (const auto& [known, wire] : kStates) {
    if (wire == state) return known;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("job state ", static_cast<int>(state), " is not one of 1 (queued) to 8 (cancelled)"));
}

}  // namespace diptych
