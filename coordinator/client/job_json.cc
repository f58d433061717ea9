#include "coordinator/client/job_json.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace diptych {
namespace {

using nlohmann::ordered_json;

ordered_json FitJson(const std::optional<PromptFit>& fit) {
  if (!fit) return nullptr;
  return {{"token_count", fit->token_count}, {"rows", fit->rows}};
}

ordered_json PlaceJson(const std::optional<QueuePlace>& place) {
  if (!place) return nullptr;
  return {{"jobs_ahead", place->jobs_ahead},
          {"others_ahead", place->others_ahead},
          {"wait_ms", place->wait_ms ? ordered_json(*place->wait_ms) : ordered_json()},
          {"held_up", place->held_up},
          {"pause", place->pause ? PauseJson(*place->pause) : ordered_json()}};
}

}  // namespace

ordered_json PauseJson(const QueuePause& pause) { return {{"by", pause.by}, {"since_unix_ms", pause.since_unix_ms}}; }

ordered_json TimingsJson(const JobTimings& timings) {
  return {{"queue_ms", timings.queue_ms},   {"encode_ms", timings.encode_ms}, {"transfer_ms", timings.transfer_ms},
          {"refine_ms", timings.refine_ms}, {"step_ms", timings.step_ms},     {"decode_ms", timings.decode_ms},
          {"png_ms", timings.png_ms},       {"total_ms", timings.total_ms}};
}

ordered_json JobJson(const JobView& job) {
  return {
      {"id", job.id},
      {"state", std::string(JobStateName(job.state))},
      {"client", job.client},
      {"priority", job.priority},
      {"prompt", job.prompt},
      {"prompt_shortened", job.prompts_shortened},
      {"width", job.width},
      {"height", job.height},
      {"seed", job.seed},
      {"step", job.step},
      {"steps", job.steps},
      {"sigma", job.sigma},
      {"left_ms", job.left_ms ? ordered_json(*job.left_ms) : ordered_json()},
      {"error", job.error},
      {"error_code", job.error_code},
      {"detail", job.detail},
      {"place", PlaceJson(job.place)},
      {"decoding", job.tiles > 0 ? ordered_json{{"tiles_done", job.tiles_done}, {"tiles", job.tiles}} : ordered_json()},
      {"until_done_ms", job.until_done_ms ? ordered_json(*job.until_done_ms) : ordered_json()},
      {"deadline_unix_ms", job.deadline_unix_ms},
      {"attempt", job.attempt},
      {"accepted_unix_ms", job.accepted_unix_ms},
      {"finished_unix_ms", job.finished_unix_ms},
      {"prompt_fit", FitJson(job.fits.prompt)},
      {"negative_fit", FitJson(job.fits.negative)},
      {"timings", TimingsJson(job.timings)}};
}

}  // namespace diptych
