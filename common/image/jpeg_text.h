// The texts of a JPEG file: EXIF, as other programs expect it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/image/picture.h"

namespace diptych {

// The file of EncodeJpeg with these texts. An EXIF segment has 64 KiB: when all is longer, "parameters" is left out,
// and what is longer still stands in several segments that only ReadJpegText knows.
std::string WithJpegText(const std::vector<uint8_t>& jpeg, const PictureText& text);

// Of any JPEG, up to its pixels or to some 16 MiB of texts. Throws Error(kDataLoss) for bytes that are no JPEG.
PictureText ReadJpegText(std::string_view bytes);

}  // namespace diptych
