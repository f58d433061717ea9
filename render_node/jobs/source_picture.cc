#include "render_node/jobs/source_picture.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr size_t kHeadBytes = 1 << 20;
constexpr int64_t kSmallBytes = int64_t{64} << 20;
constexpr int64_t kColours = 3, kGrey = 1;  // bytes of a pixel

// What is wrong with an input is said with its role in front.
template <typename Work>
auto Named(std::string_view role, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(error.code(), std::string(role) + ": " + error.what());
  }
}

PictureSize SizeOf(std::string_view role, const InputHash& input, const InputStore& inputs) {
  return Named(role, [&] {
    const PictureSize size = PeekPictureSize(inputs.Head(input.hex, kHeadBytes));
    const DecodeLimits limits;
    if (std::max(size.width, size.height) > limits.max_side || int64_t{size.width} * size.height > limits.max_pixels) {
      throw Error(ErrorCode::kInvalidArgument,
                  "a picture of " + std::to_string(size.width) + "x" + std::to_string(size.height) +
                      " is too large; it may have sides of " + std::to_string(limits.max_side) + " and " +
                      std::to_string(limits.max_pixels / 1'000'000) + " million pixels");
    }
    return size;
  });
}

std::string SizeText(const PictureSize& size) { return std::to_string(size.width) + "x" + std::to_string(size.height); }

}  // namespace

SourcePlan SourcePlanOf(const PictureSpec& spec) {
  return {.width = spec.width,
          .height = spec.height,
          .fit = spec.source_fit,
          .extend = spec.Extends(),
          .mask_from_alpha = spec.mask_from_alpha,
          .inpaint_crop = spec.inpaint_crop};
}

void CheckInputs(const PictureSpec& spec, const InputStore& inputs) {
  if (spec.source.empty()) return;
  const PictureSize source = SizeOf(members::kSource.name, spec.source, inputs);
  if (spec.mask_from_alpha && !source.has_alpha) {
    throw Error(ErrorCode::kInvalidArgument, "mask_from_alpha: nothing in the source is transparent");
  }
  if (spec.mask.empty()) return;
  const PictureSize mask = SizeOf(members::kMask.name, spec.mask, inputs);
  // An orientation behind the pixels is not seen here, so which side is which is left to the work itself.
  if (std::minmax(source.width, source.height) == std::minmax(mask.width, mask.height)) return;
  throw Error(ErrorCode::kInvalidArgument, "mask: it has " + SizeText(mask) + " pixels, the source " +
                                               SizeText(source) + "; they must have the same size");
}

bool IsSmallSource(const PictureSpec& spec, const InputStore& inputs) {
  if (spec.source.empty()) return false;
  int64_t bytes = int64_t{spec.width} * spec.height * (kColours + kGrey);
  if (spec.inpaint_crop) {  // a SourceInset has all of the source besides
    const PictureSize size = SizeOf(members::kSource.name, spec.source, inputs);
    bytes += int64_t{size.width} * size.height * kColours;
  }
  return bytes <= kSmallBytes;
}

std::optional<PreparedSource> LoadSource(const PictureSpec& spec, const InputStore& inputs, const Pause& pause) {
  if (spec.source.empty()) return std::nullopt;
  const auto decode = [&](const auto& member, const InputHash& input) {
    return Named(member.name, [&] { return DecodePicture(inputs.Load(input.hex), {}, pause); });
  };
  const DecodedPicture source = decode(members::kSource, spec.source);
  std::optional<GreyPicture> mask;
  if (!spec.mask.empty()) mask = GreyOf(decode(members::kMask, spec.mask).picture);
  return PrepareSource(source, mask ? &*mask : nullptr, SourcePlanOf(spec), pause);
}

}  // namespace diptych
