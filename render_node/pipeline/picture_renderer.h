// The renderer as jobs and service see it: conditioning and parameters in, pixels out. No libtorch and no protocol
// here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/concurrency/cancel_token.h"
#include "common/conditioning/conditioning.h"
#include "common/image/decode_tiles.h"
#include "common/image/picture.h"
#include "common/memory/machine_facts.h"
#include "common/memory/memory_facts.h"
#include "common/model_config/model_index.h"
#include "common/model_config/schedule.h"
#include "common/picture/picture_spec.h"
#include "common/source_files/model_news.h"
#include "render_node/pipeline/picture_memory.h"

namespace diptych {

// What is loaded; does not change while the process lives.
struct RendererFacts {
  std::string transformer_fingerprint;        // 64 hex digits
  std::string vae_fingerprint;                // 64 hex digits
  int64_t cap_feat_dim = 0;                   // width of the rows that the DiT takes
  int64_t row_limit = 0;                      // most rows that it takes
  int32_t size_multiple = 16;                 // width and height must be multiples of this
  int32_t max_side = 0;                       // pixels
  double default_shift = 3.0;                 // of the checkpoint's scheduler, where it does not follow the size
  std::optional<DynamicShift> dynamic_shift;  // in place of default_shift
  Schedule schedule;                          // of the checkpoint's scheduler
  ModelDefaults defaults;                     // from model_index.json
  std::string dtype;                          // "bfloat16" or "float32"
  std::string device;                         // "cpu" or "cuda"
  TilingRule tiling;                          // of the VAE
  std::vector<std::string> warnings;          // about the checkpoint, for the log; one line each
  int32_t threads = 0;
  std::vector<std::string> notes;  // on what was chosen, for the log; one line each
  std::string no_encoder;          // why no picture can begin as another one, with what is missing; empty: it can
  PictureMemoryFacts picture_memory;
  std::optional<MemoryRoom> room;  // for a picture, if nobody else were there; nothing: no picture is too large
  MachineFacts machine;

  // Bytes beside the weights, of this host's memory.
  uint64_t PictureNeed(int32_t width, int32_t height) const;
  // Pixels of the largest square that fits into `room`; 0: none does, or nothing is known.
  int32_t LargestSide() const;
};

// Everything but conditioning, source and mask that determines the picture. Raw; CheckRenderParameters validates it.
struct RenderParameters {
  int32_t width = 1024;
  int32_t height = 1024;
  int32_t steps = 9;  // of the schedule; see Evaluations
  uint64_t seed = 0;
  double shift = 3.0;
  double guidance_scale = 0.0;     // 0: off
  double cfg_normalization = 0.0;  // 0: off
  double cfg_truncation = 1.0;     // 1: never
  // Of a picture that begins as another one: how much of that is given up. 0: nothing but what the VAE loses; 1: all
  // but what a mask keeps.
  double strength = 1.0;
  // Greys of the mask mix, averaged over each latent pixel; else each latent pixel is kept or repainted by the one grey
  // at its upper left corner, below 128 or not.
  bool soft_mask = false;
};

// How often the network is evaluated: all steps of the schedule, or what the strength leaves of them where the picture
// begins as another one (common/picture/start_step.h). These are the steps of RenderProgress and LatentState.
int32_t Evaluations(const RenderParameters& parameters, bool has_source);

// The shift of a picture for which nobody states one.
double DefaultShift(const RendererFacts& facts, int32_t width, int32_t height);

// Throws Error(kInvalidArgument) naming the field, its value and the limits, and Error(kFailedPrecondition) naming what
// it needs and what there is for a picture that can never fit into the memory.
void CheckRenderParameters(const RenderParameters& parameters, const RendererFacts& facts);

// Throws Error(kInvalidArgument) naming what is wrong for a mask without a source and for either of another size than
// the picture's, and Error(kFailedPrecondition) naming what is missing for a source where the VAE has no encoder.
// Either may be null. The parameters are valid.
void CheckSource(const RenderParameters& parameters, const Picture* source, const GreyPicture* mask,
                 const RendererFacts& facts);

// Whether two pictures can be painted together: same size, steps and shift, and both with guidance or both without, as
// a step with guidance takes twice as long. Seed, guidance, captions, source, mask and strength are each picture's own:
// one that enters the schedule later is joined when the others are there.
bool CanPaintTogether(const RenderParameters& a, const RenderParameters& b);

// Throws Error(kFailedPrecondition) naming both widths. More rows than the limit are shortened when the
// picture is painted.
void CheckConditioningFits(const ConditioningHeader& header, const RendererFacts& facts);

enum class RenderStage { kRefined, kStep, kTile, kDecoded };

// One finished piece of work.
struct RenderProgress {
  RenderStage stage = RenderStage::kStep;
  int32_t step = 0;   // finished evaluations
  int32_t steps = 0;  // all of them (Evaluations)
  double sigma = 0;   // after this step
  // How long this piece took, on the clock. Of a step of several pictures painted together each says the whole time,
  // because so long it took for each: time left and total agree with it. The renderer's time is then less than the sum.
  // With kRefined it is all that came before the steps: captions, source, noise.
  double ms = 0;
  std::string plan = {};  // with kRefined: one line on what the steps will do, for the log
  int32_t together = 1;   // with kStep: pictures that took it at once
  int32_t tile = 0;  // with kTile, which comes after each tile of a picture that is decoded in tiles: finished ones
  int32_t tiles = 0;
};

// A picture between two steps: with the request, all that the rest of the work needs.
struct LatentState {
  int32_t step = 0;                             // finished evaluations
  int32_t channels = 0, height = 0, width = 0;  // latent pixels
  std::vector<float> values = {};               // [channels, height, width], exactly what the sampler had
};

// Throws Error(kInvalidArgument) naming both shapes, or the step and the number of steps, for a state that is not from
// 0 to `steps` steps into a latent of this shape.
void CheckResume(const LatentState& state, int32_t channels, int32_t height, int32_t width, int32_t steps);

// What a caller of Render wants to see, and from where to start. All of it is called on the calling thread; what it
// throws ends the picture. After a step the order is on_latent, on_preview, on_progress; the time that the first two
// take is in no RenderProgress::ms.
struct RenderHooks {
  std::function<void(const RenderProgress&)> on_progress;
  std::function<void(const LatentState&)> on_latent;  // after each finished step; empty: nothing is copied
  // Every `preview_every` steps but not after the last: what the picture seems to become, one pixel for each of the
  // latent. `step` as in RenderProgress.
  std::function<void(const Picture& preview, int32_t step)> on_preview;
  int32_t preview_every = 0;            // 0: no previews
  std::function<bool()> wants_preview;  // asked when one is due, for they cost time; empty: always
  // Start after resume->step steps instead of from noise; null: from noise. The picture is byte for byte that of the
  // uninterrupted run. When all steps are done already the decoder comes next, and no kStep is reported; nor is one for
  // a picture without any evaluation.
  const LatentState* resume = nullptr;
};

// One picture that is wanted. What it points to outlives the call.
struct RenderRequest {
  const Conditioning& positive;
  const Conditioning* negative = nullptr;  // used when guidance_scale > 0 and must then be set
  RenderParameters parameters = {};
  const Picture* source = nullptr;    // what it begins as, exactly width x height; null: noise
  const GreyPicture* mask = nullptr;  // exactly width x height, 255: repaint, 0: keep the source; null: repaint all
  RenderHooks hooks = {};
  CancelToken cancel = {};
};

// How a picture ended.
struct PictureOutcome {
  Picture picture;
  std::exception_ptr failure;  // null: there is a picture

  // The picture, or throws the failure.
  Picture Take() {
    if (failure) std::rethrow_exception(failure);
    return std::move(picture);
  }
};

// What a batch tells besides its members' hooks. Called on the calling thread; must not throw.
struct BatchEvents {
  // Once for each member, as soon as its picture is there or will never be.
  std::function<void(size_t member, PictureOutcome outcome)> ended;
  // All that were left could not be computed at once, out of memory for instance: they go on, at most `together` at a
  // time. May be empty.
  std::function<void(size_t together, std::exception_ptr why)> parted = {};
};

// Thread-safe, but runs one picture or one batch at a time.
class PictureRenderer {
 public:
  virtual ~PictureRenderer() = default;

  virtual const RendererFacts& facts() const = 0;

  // Throws Error: kInvalidArgument, kFailedPrecondition (see the checks above), kCancelled (looked at before each step
  // and, in everything that takes long, about each second or more often: common/nn/pieces.h), kUnavailable (as
  // ThrowIfChanged, looked at before the work, after each step and at the end; no picture of other weights than the
  // facts say gets out), kResourceExhausted is left to the boundary (out of memory).
  virtual Picture Render(const RenderRequest& request) = 0;

  // Several pictures, which must be able to be painted together (CanPaintTogether). Each is that of Render but for the
  // rounding of larger matrix products (in fp32 at the most one grey level here and there); of one member alone it is
  // the same byte for byte, failures included. What is wrong with a member, what its hooks throw and its cancellation
  // end that member alone. A cancelled one leaves between two steps, all together inside one. This one paints
  // them one after another, as does a renderer that cannot do better.
  virtual void RenderTogether(const std::vector<RenderRequest>& members, const BatchEvents& events);

  // Throws Error(kUnavailable) naming the file while the model's files are not what they were when it was loaded.
  virtual void ThrowIfChanged() {}
  // The same for somebody who looks now and then.
  virtual ModelNews LookAtFiles() { return {}; }
};

}  // namespace diptych
