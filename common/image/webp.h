// WebP in memory, with texts in EXIF. Wraps libwebp.
#pragma once

#include <string>
#include <string_view>

#include "common/image/picture.h"

namespace diptych {

inline constexpr int32_t kMaxWebpSide = 16383;  // pixels; the format's own limit

// Lossy; equal input gives equal bytes with the same library. Throws Error(kInvalidArgument) for a picture without
// pixels, with a side beyond kMaxWebpSide or whose bytes do not match its size, for a quality that is not from 1 to
// 100, and for text that is not UTF-8.
std::string EncodeWebp(const Picture& picture, int quality, const PictureText& text);

// Throws Error(kDataLoss) for bytes that are no WebP.
PictureText ReadWebpText(std::string_view bytes);

}  // namespace diptych
