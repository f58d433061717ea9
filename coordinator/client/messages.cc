#include "coordinator/client/messages.h"

#include <algorithm>
#include <utility>

#include "common/foreign_text/foreign_text.h"
#include "common/picture/start_step.h"
#include "common/wire/enums.h"
#include "common/wire/machine_codec.h"

namespace diptych {
namespace {

constexpr std::pair<JobView::State, v1::JobState> kStates[] = {
    {JobView::State::kQueued, v1::JOB_STATE_QUEUED},     {JobView::State::kEncoding, v1::JOB_STATE_ENCODING},
    {JobView::State::kReady, v1::JOB_STATE_READY},       {JobView::State::kRendering, v1::JOB_STATE_RENDERING},
    {JobView::State::kDecoding, v1::JOB_STATE_DECODING}, {JobView::State::kDone, v1::JOB_STATE_DONE},
    {JobView::State::kFailed, v1::JOB_STATE_FAILED},     {JobView::State::kCancelled, v1::JOB_STATE_CANCELLED},
};

JobView::State StateFromMessage(v1::JobState state) {
  for (const auto& [view, message] : kStates) {
    if (message == state) return view;
  }
  return JobView::State::kUnknown;
}

// Somebody else's words, on one line and bounded. What is printed is escaped where it is printed.
std::string Words(const std::string& text, size_t most) {
  std::string words = CutMessage(text, most);
  std::replace(words.begin(), words.end(), '\n', ' ');
  std::replace(words.begin(), words.end(), '\r', ' ');
  return words;
}
std::string Label(const std::string& text) { return Words(text, kForeignBytes); }
std::string Sentence(const std::string& text) { return Words(text, kForeignSentenceBytes); }

StageTimings TimingsFromMessage(const v1::JobTimings& timings) {
  return {.queue_ms = timings.queue_ms(),
          .encode_ms = timings.encode_ms(),
          .transfer_ms = timings.transfer_ms(),
          .refine_ms = timings.refine_ms(),
          .step_ms = {timings.step_ms().begin(), timings.step_ms().end()},
          .decode_ms = timings.decode_ms(),
          .png_ms = timings.png_ms(),
          .total_ms = timings.total_ms()};
}

// Of a picture that begins as another one fewer than its steps. A strength that is none, which no renderer has
// accepted, counts as all of them.
int32_t EvaluationsOf(const v1::JobSpec& spec) {
  const double strength = spec.strength();
  const bool begins = !spec.source().empty() && spec.has_strength() && strength >= 0 && strength <= 1;
  return begins && spec.steps() > 0 ? spec.steps() - FirstStep(spec.steps(), strength) : spec.steps();
}

PromptFitView FitFromMessage(const v1::PromptFit& fit) { return {fit.token_count(), fit.rows()}; }

QueuePauseView PauseFrom(const v1::QueuePause& pause) { return {Label(pause.by()), pause.since_unix_ms()}; }

QueuePlaceView PlaceFrom(const v1::QueuePlace& place) {
  QueuePlaceView view{
      .jobs_ahead = place.jobs_ahead(), .others_ahead = place.others_ahead(), .held_up = Sentence(place.held_up())};
  if (place.has_wait_ms()) view.wait_ms = place.wait_ms();
  if (place.has_pause()) view.pause = PauseFrom(place.pause());
  return view;
}

ConditioningStoreReport StoreFromMessage(const v1::ConditioningStoreStatus& store) {
  return {.memory_hits = store.memory_hits(),
          .disk_hits = store.disk_hits(),
          .misses = store.misses(),
          .damaged = store.damaged(),
          .disk_failures = store.disk_failures(),
          .last_failure = Sentence(store.last_failure()),
          .memory_bytes = store.memory_bytes(),
          .disk_bytes = store.disk_bytes(),
          .entries = store.entries()};
}

}  // namespace

QueuePauseView PauseFromMessage(const v1::QueuePause& pause) { return PauseFrom(pause); }

v1::JobState StateMessage(JobView::State state) {
  for (const auto& [view, message] : kStates) {
    if (view == state) return message;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

JobView JobFromMessage(const v1::Job& job) {
  const v1::JobSpec& spec = job.spec();
  const bool conversation = !spec.prompt().conversation_json().empty();
  JobView view;
  view.id = job.id();
  view.state = StateFromMessage(job.state());
  view.client = Label(spec.client());
  view.priority = spec.priority();
  view.prompt = conversation ? spec.prompt().conversation_json() : spec.prompt().user();
  view.width = spec.width();
  view.height = spec.height();
  view.seed = spec.seed();
  view.has_source_size = spec.has_inpaint_crop();
  view.step = job.step();
  view.steps = EvaluationsOf(spec);
  view.error = Sentence(job.error());
  view.error_code = Label(job.error_code());
  view.detail = Sentence(job.detail());
  view.accepted_unix_ms = job.accepted_unix_ms();
  view.finished_unix_ms = job.finished_unix_ms();
  view.attempt = job.attempt();
  view.timings = TimingsFromMessage(job.timings());
  view.long_prompt_mode = FromProto(spec.long_prompt_mode()).value_or(LongPromptMode::kInterpolate);
  if (job.has_prompt_fit()) view.prompt_fit = FitFromMessage(job.prompt_fit());
  if (job.has_negative_fit()) view.negative_fit = FitFromMessage(job.negative_fit());
  view.sequence = job.sequence();
  view.sigma = job.sigma();
  if (job.has_left_ms()) view.left_ms = job.left_ms();
  view.deadline_unix_ms = job.deadline_unix_ms();
  view.prompt_shortened = job.prompts_shortened();
  view.picture_sha256 = job.picture_sha256();
  view.picture_bytes = job.picture_bytes();
  if (job.has_place()) view.place = PlaceFrom(job.place());
  view.tiles_done = job.decoding().tiles_done();
  view.tiles = job.decoding().tiles();
  if (job.has_until_done_ms()) view.until_done_ms = job.until_done_ms();
  return view;
}

RendererDescription DescriptionFromMessage(const v1::DescribeRendererResponse& response) {
  RendererDescription description;
  description.program_version = Label(response.program_version());
  description.transformer_fingerprint = response.transformer_fingerprint();
  description.vae_fingerprint = response.vae_fingerprint();
  description.cap_feat_dim = response.cap_feat_dim();
  description.row_limit = response.row_limit();
  description.size_multiple = response.size_multiple();
  description.max_side = response.max_side();
  description.default_shift = response.default_shift();
  description.schedule = Label(response.schedule());
  description.shift_follows_size = response.shift_follows_size();
  if (response.has_defaults()) {
    const v1::ModelDefaults& defaults = response.defaults();
    description.defaults = {.width = defaults.width(),
                            .height = defaults.height(),
                            .steps = defaults.steps(),
                            .guidance_scale = defaults.guidance_scale(),
                            .words = {defaults.words().begin(), defaults.words().end()},
                            .words_described_in = Label(defaults.words_described_in())};
  }
  description.dtype = Label(response.dtype());
  description.device = Label(response.device());
  description.threads = response.threads();
  description.tiling = {{response.tile_size(), response.tile_overlap()}, response.tiles_beyond()};
  description.limits = {.pixels = response.max_pixels(),
                        .steps = response.max_steps(),
                        .prompt_tokens = response.max_prompt_tokens(),
                        .client_pictures = response.client_queue_limit(),
                        .input_bytes = response.input_limit()};
  description.queued = response.queued();
  description.running = response.running();
  if (response.has_pause()) description.pause = PauseFrom(response.pause());
  for (const v1::EncoderStatus& encoder : response.encoders()) {
    description.encoders.push_back({Label(encoder.address()), encoder.reachable(), Sentence(encoder.error()),
                                    Label(encoder.model_fingerprint()), encoder.width(), Label(encoder.state()),
                                    encoder.in_flight()});
  }
  if (response.has_machine()) {
    description.machine = FromProto(response.machine());
    MachineFacts& facts = description.machine->facts;
    for (std::string* text : {&facts.libtorch, &facts.blas, &facts.gpu}) *text = Label(*text);
    for (auto* room : {&description.machine->available, &description.machine->total}) {
      if (*room) (*room)->set_by = Label((*room)->set_by);
    }
  }
  description.largest_side = response.largest_side();
  if (response.has_state_folder()) {
    description.state_folder = {response.state_folder().free_bytes(), Sentence(response.state_folder().problem())};
  }
  if (response.has_conditioning_store()) {
    description.conditioning_store = StoreFromMessage(response.conditioning_store());
  }
  return description;
}

}  // namespace diptych
