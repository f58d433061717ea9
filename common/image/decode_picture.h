// A picture that somebody else made, from memory, within bounds: PNG, JPEG and WebP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/concurrency/pause.h"
#include "common/image/picture.h"

namespace diptych {

// Checked before anything is allocated for pixels.
struct DecodeLimits {
  int32_t max_side = 16384;  // pixels
  int64_t max_pixels = 64'000'000;
  size_t max_bytes = size_t{128} << 20;  // of the file
};

struct DecodedPicture {
  Picture picture;                   // upright: the orientation that EXIF says is applied
  std::optional<GreyPicture> alpha;  // of the picture's size, 255 opaque; nullopt: the file has none
};

// Colours as Pillow's convert("RGB") gives them: alpha is taken away and nothing is blended, palettes and grey become
// RGB, CMYK and YCCK are taken for Adobe's; equal where the format is lossless, else as libjpeg and libwebp round.
// Of 16 bits the upper 8 stay, grey ones too (Pillow clips these at 255). Profiles and gamma are not applied.
// Throws Error: kDataLoss for a file that is damaged or cut off, also where a viewer would show a part of it;
// kInvalidArgument beyond a limit, for an animation, and for what is no PNG, JPEG or WebP, saying what it seems to be.
// Pauses once in some dozen rows of a PNG or JPEG; a WebP is decoded in one go, within some seconds.
DecodedPicture DecodePicture(std::string_view bytes, const DecodeLimits& limits = {}, const Pause& pause = {});

struct PictureSize {
  int32_t width = 0;   // pixels, upright
  int32_t height = 0;  // likewise
  bool has_alpha = false;

  bool operator==(const PictureSize&) const = default;
};

// What DecodePicture would give, from the file's head: nothing is decoded, and sizes beyond any limit are told. The
// first part of a file is enough if it reaches to the pixels; but an orientation that stands behind them (WebP, some
// PNGs) is known from the whole file alone. Throws as DecodePicture does for what it can see there.
PictureSize PeekPictureSize(std::string_view bytes);

// As Pillow's convert("L"): what a mask's file says.
GreyPicture GreyOf(const Picture& picture);

}  // namespace diptych
