#include "render_node/pipeline/picture_renderer.h"

#include <cmath>

#include "common/picture/start_step.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void CheckSide(const char* name, int32_t value, const RendererFacts& facts) {
  if (value > 0 && value % facts.size_multiple == 0 && value <= facts.max_side) return;
  if (value > facts.max_side) {
    Refuse(std::string(name) + " " + std::to_string(value) + " is more than " + std::to_string(facts.max_side) +
           ", the most that this renderer paints");
  }
  Refuse(std::string(name) + " " + std::to_string(value) + " is not a multiple of " +
         std::to_string(facts.size_multiple) + " from " + std::to_string(facts.size_multiple) + " to " +
         std::to_string(facts.max_side));
}

std::string Shape(int32_t channels, int32_t height, int32_t width) {
  return std::to_string(channels) + " x " + std::to_string(height) + " x " + std::to_string(width);
}

void CheckFits(int32_t width, int32_t height, const RendererFacts& facts) {
  const uint64_t need = facts.PictureNeed(width, height);
  if (!facts.room || need <= facts.room->bytes) return;
  const int32_t side = facts.LargestSide();
  const std::string largest = std::to_string(side) + "x" + std::to_string(side);
  throw Error(ErrorCode::kFailedPrecondition,
              "a picture of " + std::to_string(width) + "x" + std::to_string(height) + " needs about " +
                  BytesText(need) + " of memory beside the model, this renderer has at most " + RoomText(*facts.room) +
                  (side > 0 ? "; the largest square that fits is " + largest : "; none fits"));
}

void CheckSame(const char* what, int32_t width, int32_t height, size_t bytes, size_t channels,
               const RenderParameters& p) {
  const auto size = [](int32_t w, int32_t h) { return std::to_string(w) + "x" + std::to_string(h); };
  if (width != p.width || height != p.height) {
    Refuse(std::string("the ") + what + " is " + size(width, height) + ", the picture " + size(p.width, p.height) +
           ": they must have one size");
  }
  const size_t all = static_cast<size_t>(width) * static_cast<size_t>(height) * channels;
  if (bytes == all) return;
  Refuse(std::string("the ") + what + " of " + size(width, height) + " has " + std::to_string(bytes) +
         " values instead of " + std::to_string(all));
}

}  // namespace

uint64_t RendererFacts::PictureNeed(int32_t width, int32_t height) const {
  return PictureBytes(picture_memory, width, height, tiling);
}

int32_t RendererFacts::LargestSide() const {
  if (!room) return 0;
  int32_t side = max_side / size_multiple * size_multiple;
  while (side > 0 && PictureNeed(side, side) > room->bytes) side -= size_multiple;
  return side;
}

double DefaultShift(const RendererFacts& facts, int32_t width, int32_t height) {
  if (!facts.dynamic_shift) return facts.default_shift;
  return facts.dynamic_shift->For(int64_t{width / facts.size_multiple} * (height / facts.size_multiple));
}

void CheckRenderParameters(const RenderParameters& parameters, const RendererFacts& facts) {
  CheckSide("width", parameters.width, facts);
  CheckSide("height", parameters.height, facts);
  CheckRange(members::kSteps, parameters.steps);
  CheckRange(members::kShift, parameters.shift);
  CheckRange(members::kGuidanceScale, parameters.guidance_scale);
  CheckRange(members::kCfgNormalization, parameters.cfg_normalization);
  CheckRange(members::kCfgTruncation, parameters.cfg_truncation);
  CheckRange(members::kStrength, parameters.strength);
  CheckFits(parameters.width, parameters.height, facts);
}

void CheckSource(const RenderParameters& parameters, const Picture* source, const GreyPicture* mask,
                 const RendererFacts& facts) {
  if (source == nullptr) {
    if (mask != nullptr) Refuse("a mask needs a source: the picture that it keeps parts of");
    return;
  }
  if (!facts.no_encoder.empty()) {
    throw Error(ErrorCode::kFailedPrecondition, "no picture can begin as another one here: " + facts.no_encoder);
  }
  CheckSame("source", source->width, source->height, source->rgb.size(), 3, parameters);
  if (mask != nullptr) CheckSame("mask", mask->width, mask->height, mask->grey.size(), 1, parameters);
}

int32_t Evaluations(const RenderParameters& parameters, bool has_source) {
  return parameters.steps - (has_source ? FirstStep(parameters.steps, parameters.strength) : 0);
}

bool CanPaintTogether(const RenderParameters& a, const RenderParameters& b) {
  return a.width == b.width && a.height == b.height && a.steps == b.steps && a.shift == b.shift &&
         (a.guidance_scale > 0) == (b.guidance_scale > 0);
}

void PictureRenderer::RenderTogether(const std::vector<RenderRequest>& members, const BatchEvents& events) {
  for (size_t i = 0; i < members.size(); ++i) {
    PictureOutcome outcome;
    try {
      outcome.picture = Render(members[i]);
    } catch (...) {
      outcome.failure = std::current_exception();
    }
    events.ended(i, std::move(outcome));
  }
}

void CheckConditioningFits(const ConditioningHeader& header, const RendererFacts& facts) {
  if (header.width != facts.cap_feat_dim) {
    throw Error(ErrorCode::kFailedPrecondition,
                "the conditioning has rows of " + std::to_string(header.width) + " values (text encoder " +
                    (header.model_fingerprint.empty() ? "of unknown origin" : header.model_fingerprint.substr(0, 12)) +
                    "), this DiT takes rows of " + std::to_string(facts.cap_feat_dim) + " (cap_feat_dim)");
  }
}

void CheckResume(const LatentState& state, int32_t channels, int32_t height, int32_t width, int32_t steps) {
  if (state.channels != channels || state.height != height || state.width != width) {
    Refuse("cannot resume from a latent of " + Shape(state.channels, state.height, state.width) +
           ": this picture's is " + Shape(channels, height, width));
  }
  const size_t values = static_cast<size_t>(channels) * static_cast<size_t>(height) * static_cast<size_t>(width);
  if (state.values.size() != values) {
    Refuse("cannot resume from " + std::to_string(state.values.size()) + " values: a latent of " +
           Shape(channels, height, width) + " has " + std::to_string(values));
  }
  if (state.step < 0 || state.step > steps) {
    Refuse("cannot resume after step " + std::to_string(state.step) + ": this picture has " + std::to_string(steps) +
           " steps");
  }
}

}  // namespace diptych
