// What a client says to a renderer and hears from it, without the protocol.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/conditioning/conditioning.h"
#include "common/image/decode_tiles.h"
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

// Milliseconds; 0 where a stage has not run.
struct StageTimings {
  double queue_ms = 0;
  double encode_ms = 0;
  double transfer_ms = 0;
  double refine_ms = 0;
  std::vector<double> step_ms;
  double decode_ms = 0;
  double png_ms = 0;
  double total_ms = 0;  // from acceptance to done
};

// How a prompt's tokens became rows; fewer rows than tokens: it was cut or squeezed.
struct PromptFitView {
  int64_t token_count = 0;
  int64_t rows = 0;
};

// A queue at rest.
struct QueuePauseView {
  std::string by;
  int64_t since_unix_ms = 0;
};

// Where a job waits, and when the painter may take it up.
struct QueuePlaceView {
  int32_t jobs_ahead = 0;              // waiting or in work
  std::optional<double> wait_ms = {};  // as far as the prompts and pictures before tell
  int32_t others_ahead = 0;            // of jobs_ahead those of other clients
  std::string held_up = {};            // what all jobs in work wait for; empty: they get on
  std::optional<QueuePauseView> pause = {};
};

// A job as the renderer reports it.
struct JobView {
  enum class State { kUnknown, kQueued, kEncoding, kReady, kRendering, kDecoding, kDone, kFailed, kCancelled };

  std::string id;
  State state = State::kUnknown;
  std::string client;
  int32_t priority = 0;
  std::string prompt;  // what the user said; of a conversation its JSON
  int32_t width = 0;
  int32_t height = 0;
  bool has_source_size = false;  // the picture has the size of its source, into which a part of this one is put back
  uint64_t seed = 0;
  int32_t step = 0;        // finished evaluations
  int32_t steps = 0;       // all of them: of a picture that begins as another one fewer than were asked for
  std::string error;       // one line, when failed
  std::string error_code;  // a gRPC status name
  std::string detail;      // what it waits for
  int64_t accepted_unix_ms = 0;
  int64_t finished_unix_ms = 0;  // 0: not yet
  int32_t attempt = 0;
  StageTimings timings;
  LongPromptMode long_prompt_mode = LongPromptMode::kInterpolate;
  std::optional<PromptFitView> prompt_fit, negative_fit;  // unset: not encoded yet, or not known
  int64_t sequence = 0;                                   // of this report; grows
  double sigma = 0;                                       // noise level after the finished steps, while it is painted
  std::optional<double> left_ms;                          // for the steps that are left, while it is painted
  int64_t deadline_unix_ms = 0;                           // 0: none
  bool prompt_shortened = false;                          // `prompt` is no more than its beginning
  std::string picture_sha256;                             // when done
  int64_t picture_bytes = 0;
  int32_t tiles_done = 0;  // of `tiles`, while it is decoded in tiles
  int32_t tiles = 0;
  std::optional<double> until_done_ms;  // until its picture is there, as far as the work before tells
  std::optional<QueuePlaceView> place;  // while it waits, where the renderer was asked for this job alone

  bool Ended() const { return state == State::kDone || state == State::kFailed || state == State::kCancelled; }
};
std::string_view JobStateText(JobView::State state);  // "queued", ..., "cancelled"; "unknown"

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
  std::optional<QueuePauseView> pause;  // while the queue is paused
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
