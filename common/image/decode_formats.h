// The formats that DecodePicture reads, one by one; for decode_picture.cc alone.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/image/decode_picture.h"

namespace diptych {

// As the file has it, before it is turned upright.
struct PictureHead {
  int64_t width = 0;  // pixels; also 0 or more than an int32_t holds, if the file says so
  int64_t height = 0;
  bool has_alpha = false;
  int orientation = 1;  // EXIF's, 1 to 8
};

// Each throws as DecodePicture does, and refuses animations.
PictureHead ReadPngHead(std::string_view bytes);
PictureHead ReadJpegHead(std::string_view bytes);
PictureHead ReadWebpHead(std::string_view bytes);

// Of a file whose head is within the limits. Not turned.
DecodedPicture DecodePngPixels(std::string_view bytes, const DecodeLimits& limits, const Pause& pause);
DecodedPicture DecodeJpegPixels(std::string_view bytes, const DecodeLimits& limits, const Pause& pause);
DecodedPicture DecodeWebpPixels(std::string_view bytes, const PictureHead& head);

// Takes [height, width, 4] apart.
DecodedPicture SplitAlpha(int32_t width, int32_t height, std::vector<uint8_t> rgba);

inline constexpr int kRowsBetweenLooks = 64;

}  // namespace diptych
