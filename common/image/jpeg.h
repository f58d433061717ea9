// JPEG in memory, for pictures that are looked at and not kept. Wraps libjpeg.
#pragma once

#include <cstdint>
#include <vector>

#include "common/image/picture.h"

namespace diptych {

// Baseline, colours at full resolution; equal input gives equal bytes with the same library.
// Throws Error(kInvalidArgument) for a picture without pixels, with a side beyond 65500 px or whose bytes do not match
// its size, and for a quality that is not from 1 to 100.
std::vector<uint8_t> EncodeJpeg(const Picture& picture, int quality);

}  // namespace diptych
