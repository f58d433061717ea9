#include "common/wire/job_report_codec.h"

#include <array>
#include <utility>

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

v1::PromptFit ToProto(const PromptFit& fit) {
  v1::PromptFit message;
  message.set_token_count(fit.token_count);
  message.set_rows(fit.rows);
  return message;
}

PromptFit FromProto(const v1::PromptFit& message) { return {message.token_count(), message.rows()}; }

}  // namespace

v1::JobState ToProto(JobState state) {
  for (const auto& [known, wire] : kStates) {
    if (known == state) return wire;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

JobState FromProto(v1::JobState state) {
  for (const auto& [known, wire] : kStates) {
    if (wire == state) return known;
  }
  return JobState::kUnknown;
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

JobTimings FromProto(const v1::JobTimings& message) {
  return {.queue_ms = message.queue_ms(),
          .encode_ms = message.encode_ms(),
          .transfer_ms = message.transfer_ms(),
          .refine_ms = message.refine_ms(),
          .step_ms = {message.step_ms().begin(), message.step_ms().end()},
          .decode_ms = message.decode_ms(),
          .png_ms = message.png_ms(),
          .total_ms = message.total_ms()};
}

v1::QueuePause ToProto(const QueuePause& pause) {
  v1::QueuePause message;
  message.set_by(pause.by);
  message.set_since_unix_ms(pause.since_unix_ms);
  return message;
}

QueuePause FromProto(const v1::QueuePause& message) { return {message.by(), message.since_unix_ms()}; }

v1::QueuePlace ToProto(const QueuePlace& place) {
  v1::QueuePlace message;
  message.set_jobs_ahead(static_cast<int32_t>(place.jobs_ahead));
  message.set_others_ahead(static_cast<int32_t>(place.others_ahead));
  if (place.wait_ms) message.set_wait_ms(*place.wait_ms);
  message.set_held_up(place.held_up);
  if (place.pause) *message.mutable_pause() = ToProto(*place.pause);
  return message;
}

QueuePlace FromProto(const v1::QueuePlace& message) {
  QueuePlace place{
      .jobs_ahead = message.jobs_ahead(), .others_ahead = message.others_ahead(), .held_up = message.held_up()};
  if (message.has_wait_ms()) place.wait_ms = message.wait_ms();
  if (message.has_pause()) place.pause = FromProto(message.pause());
  return place;
}

v1::Job ToProto(const JobReport& report) {
  v1::Job message;
  message.set_id(report.id);
  message.set_state(ToProto(report.state));
  message.set_step(report.step);
  message.set_sigma(report.sigma);
  if (report.left_ms) message.set_left_ms(*report.left_ms);
  if (report.tiles > 0) {
    message.mutable_decoding()->set_tiles_done(report.tiles_done);
    message.mutable_decoding()->set_tiles(report.tiles);
  }
  if (report.until_done_ms) message.set_until_done_ms(*report.until_done_ms);
  if (report.place) *message.mutable_place() = ToProto(*report.place);
  message.set_error(report.error);
  message.set_error_code(report.error_code);
  message.set_detail(report.detail);
  message.set_accepted_unix_ms(report.accepted_unix_ms);
  message.set_finished_unix_ms(report.finished_unix_ms);
  message.set_attempt(report.attempt);
  message.set_deadline_unix_ms(report.deadline_unix_ms);
  *message.mutable_timings() = ToProto(report.timings);
  if (report.fits.prompt) *message.mutable_prompt_fit() = ToProto(*report.fits.prompt);
  if (report.fits.negative) *message.mutable_negative_fit() = ToProto(*report.fits.negative);
  message.set_sequence(report.sequence);
  message.set_prompts_shortened(report.prompts_shortened);
  message.set_picture_sha256(report.picture_sha256);
  message.set_picture_bytes(report.picture_bytes);
  return message;
}

JobReport FromProto(const v1::Job& message) {
  JobReport report;
  report.id = message.id();
  report.state = FromProto(message.state());
  report.step = message.step();
  report.sigma = message.sigma();
  if (message.has_left_ms()) report.left_ms = message.left_ms();
  report.tiles_done = message.decoding().tiles_done();
  report.tiles = message.decoding().tiles();
  if (message.has_until_done_ms()) report.until_done_ms = message.until_done_ms();
  if (message.has_place()) report.place = FromProto(message.place());
  report.error = message.error();
  report.error_code = message.error_code();
  report.detail = message.detail();
  report.accepted_unix_ms = message.accepted_unix_ms();
  report.finished_unix_ms = message.finished_unix_ms();
  report.attempt = message.attempt();
  report.deadline_unix_ms = message.deadline_unix_ms();
  report.timings = FromProto(message.timings());
  if (message.has_prompt_fit()) report.fits.prompt = FromProto(message.prompt_fit());
  if (message.has_negative_fit()) report.fits.negative = FromProto(message.negative_fit());
  report.sequence = message.sequence();
  report.prompts_shortened = message.prompts_shortened();
  report.picture_sha256 = message.picture_sha256();
  report.picture_bytes = message.picture_bytes();
  return report;
}

}  // namespace diptych
