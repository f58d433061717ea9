// What a client says to a renderer and hears from it, without the protocol.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/conditioning/conditioning.h"
#include "common/image/decode_tiles.h"
#include "common/job/job_report.h"
#include "common/memory/machine_facts.h"
#include "common/picture/job_spec.h"
#include "common/receipt/receipt.h"

namespace diptych {

// One picture to ask for; job.proto states the limits of each field. The prompt is required unless conditioning is set.
struct PictureRequest : JobSpec {
  // Set: uploaded in place of encoding the prompts; then with guidance both are needed, without it only the first.
  std::shared_ptr<const Conditioning> conditioning, negative_conditioning;
  // The bytes of the inputs that the spec names, by their hash.
  std::map<std::string, std::shared_ptr<const std::string>> inputs;
};

// A job as the renderer reports it, and as much of what was asked for as is shown of it.
struct JobView : JobReport {
  std::string client;
  int32_t priority = 0;
  std::string prompt;  // what the user said; of a conversation its JSON
  int32_t width = 0;
  int32_t height = 0;
  bool has_source_size = false;  // the picture has the size of its source, into which a part of this one is put back
  uint64_t seed = 0;
  int32_t steps = 0;  // all evaluations: of a picture that begins as another one fewer than were asked for
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;

  bool Ended() const { return IsTerminal(state); }
};

struct EncoderReport {
  std::string address;
  bool reachable = false;
  std::string error;  // why not
  std::string model_fingerprint;
  int64_t width = 0;
  std::string state = {};  // "unknown", "up", "loading", "down", "refused"; empty: an older renderer does not say
  int32_t in_flight = 0;   // prompts that the renderer has it encode now
};

// What a renderer keeps of conditioning; counts are since its start.
struct ConditioningStoreReport {
  int64_t memory_hits = 0;
  int64_t disk_hits = 0;
  int64_t misses = 0;
  int64_t damaged = 0;  // files; among the misses
  int64_t disk_failures = 0;
  std::string last_failure;  // one line; empty: none
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;
  int64_t entries = 0;
};

// What a renderer has loaded.
// Where the renderer keeps jobs and pictures.
struct StateFolderReport {
  int64_t free_bytes = 0;
  std::string problem;  // empty: none is known
};

// What the renderer's operator allows; 0: no limit beyond the model's own.
struct OperatorLimitsReport {
  int64_t pixels = 0;
  int32_t steps = 0;
  int64_t prompt_tokens = 0;
  int64_t client_pictures = 0;  // that may wait
  int64_t input_bytes = 0;      // of one input; 0: an older renderer, which takes none
};

// How a renderer's model is painted with where the user says nothing.
struct ModelDefaultsView {
  int32_t width = 1024;  // pixels; these are Z-Image-Turbo's
  int32_t height = 1024;
  int32_t steps = 9;
  double guidance_scale = 0;
  std::vector<std::string> words = {};  // that it knows; empty: it has no such list
  std::string words_described_in = {};  // may be empty
};

struct RendererDescription {
  std::string program_version;
  std::string transformer_fingerprint;
  std::string vae_fingerprint;
  int64_t cap_feat_dim = 0;
  int64_t row_limit = 0;
  int32_t size_multiple = 16;
  int32_t max_side = 0;  // pixels
  double default_shift = 0;
  std::string schedule = {};        // of the noise levels, as in the receipt; empty: Z-Image-Turbo's own
  bool shift_follows_size = false;  // default_shift is that of the default size
  ModelDefaultsView defaults = {};  // an older renderer does not say: Z-Image-Turbo's
  std::string dtype;
  std::string device;
  int32_t threads = 0;
  TilingRule tiling;  // of its VAE
  OperatorLimitsReport limits;
  int32_t queued = 0;
  int32_t running = 0;
  std::optional<QueuePause> pause;  // while the queue is paused
  std::vector<EncoderReport> encoders;
  std::optional<ConditioningStoreReport> conditioning_store;  // unset: an older renderer does not say
  std::optional<StateFolderReport> state_folder;              // likewise
  std::optional<MachineReport> machine;                       // likewise
  int32_t largest_side = 0;                                   // px that fit into its memory; 0: not known
};

// What an encoder has loaded.
struct EncoderDescription {
  std::string program_version;
  std::string model_fingerprint;
  std::string tokenizer_fingerprint;
  int64_t width = 0;
  int32_t layers = 0;
  StateDtype dtype = StateDtype::kBFloat16;
  int32_t threads = 0;
  std::string device;
};

}  // namespace diptych
