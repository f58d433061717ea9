// What is done to a picture that another one begins as, before it is painted over.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace diptych {

// How a source of another shape comes to the size of the picture.
enum class SourceFit {
  kStretch,  // to the size, whatever becomes of its proportions: the reference's way
  kCrop,     // it covers the size, and what stands out on two sides is cut off
  kPad,      // it lies in the middle, and the two sides that are left are filled up
};
inline constexpr std::array kSourceFits = {SourceFit::kStretch, SourceFit::kCrop, SourceFit::kPad};
constexpr const auto& ChoicesOf(SourceFit) { return kSourceFits; }
constexpr std::string_view ChoiceName(SourceFit fit) {
  return fit == SourceFit::kStretch ? "stretch" : fit == SourceFit::kCrop ? "crop" : "pad";
}

// Pixels around the source that are to be painted.
struct Extend {
  int32_t left = 0, top = 0, right = 0, bottom = 0;

  bool Any() const { return left > 0 || top > 0 || right > 0 || bottom > 0; }
  bool operator==(const Extend&) const = default;
};

// All that common/picture/prepare_source.h needs to know.
struct SourcePlan {
  int32_t width = 0;   // pixels that are painted
  int32_t height = 0;  // likewise
  SourceFit fit = SourceFit::kStretch;
  Extend extend = {};                                  // within width and height
  bool mask_from_alpha = false;                        // what is transparent is repainted
  std::optional<int32_t> inpaint_crop = std::nullopt;  // pixels around the mask; with it that part alone is painted
};

}  // namespace diptych
