#include "coordinator/client/messages.h"

#include <algorithm>

#include "common/foreign_text/foreign_text.h"
#include "common/picture/start_step.h"
#include "common/wire/enums.h"
#include "common/wire/job_report_codec.h"
#include "common/wire/machine_codec.h"

namespace diptych {
namespace {

// Somebody else's words, on one line and bounded. What is printed is escaped where it is printed.
std::string Words(const std::string& text, size_t most) {
  std::string words = CutMessage(text, most);
  std::replace(words.begin(), words.end(), '\n', ' ');
  std::replace(words.begin(), words.end(), '\r', ' ');
  return words;
}
std::string Label(const std::string& text) { return Words(text, kForeignBytes); }
std::string Sentence(const std::string& text) { return Words(text, kForeignSentenceBytes); }

// Of a picture that begins as another one fewer than its steps. A strength that is none, which no renderer has
// accepted, counts as all of them.
int32_t EvaluationsOf(const v1::JobSpec& spec) {
  const double strength = spec.strength();
  const bool begins = !spec.source().empty() && spec.has_strength() && strength >= 0 && strength <= 1;
  return begins && spec.steps() > 0 ? spec.steps() - FirstStep(spec.steps(), strength) : spec.steps();
}

QueuePause Bounded(QueuePause pause) {
  pause.by = Label(pause.by);
  return pause;
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

QueuePause PauseFromMessage(const v1::QueuePause& pause) { return Bounded(FromProto(pause)); }

JobView JobFromMessage(const v1::Job& job) {
  const v1::JobSpec& spec = job.spec();
  const bool conversation = !spec.prompt().conversation_json().empty();
  JobView view;
  static_cast<JobReport&>(view) = FromProto(job);
  view.error = Sentence(view.error);
  view.error_code = Label(view.error_code);
  view.detail = Sentence(view.detail);
  if (view.place) {
    view.place->held_up = Sentence(view.place->held_up);
    if (view.place->pause) view.place->pause = Bounded(*view.place->pause);
  }
  view.client = Label(spec.client());
  view.priority = spec.priority();
  view.prompt = conversation ? spec.prompt().conversation_json() : spec.prompt().user();
  view.width = spec.width();
  view.height = spec.height();
  view.seed = spec.seed();
  view.has_source_size = spec.has_inpaint_crop();
  view.steps = EvaluationsOf(spec);
  view.long_prompt_mode = FromProto(spec.long_prompt_mode()).value_or(LongPromptMode::kInterpolate);
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
  if (response.has_pause()) description.pause = PauseFromMessage(response.pause());
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
