// Pictures in another size, as the reference's resizing gives them.
#pragma once

#include <cstdint>

#include "common/concurrency/pause.h"
#include "common/image/picture.h"

namespace diptych {

// Of what Resize reads and makes; the picture in between is never larger than both.
inline constexpr int32_t kMostResizeSide = 65500;          // pixels
inline constexpr int64_t kMostResizePixels = 268'000'000;  // the largest that libwebp reads

// Pillow's Image.resize(LANCZOS) for 8 bits, to the bit: of Pillow 13.0.0, with which the goldens of tests/parity are
// made. Older ones run the two passes in another order for some sizes (docs/pictures_in.md). A picture that has the
// size already is given back as it is. Equal input gives equal bytes on every x86-64.
// Pauses once in some dozen rows. Throws Error(kInvalidArgument) for a picture whose bytes do not match its size and
// for sides and pixels, before or after, that are none or beyond the limits.
Picture Resize(const Picture& picture, int32_t width, int32_t height, const Pause& pause = {});
GreyPicture Resize(const GreyPicture& picture, int32_t width, int32_t height, const Pause& pause = {});

}  // namespace diptych
