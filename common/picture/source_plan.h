// What is done to a picture that another one begins as, before it is painted over.
#pragma once

#include <array>
#include <cstdint>
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

}  // namespace diptych
