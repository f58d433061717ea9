// An EXIF block: the texts that JPEG and WebP have in place of PNG's, and how the picture lies.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/image/picture.h"

namespace diptych {

// The text that A1111 and those who read its files expect in EXIF's UserComment.
inline constexpr std::string_view kParametersKeyword = "parameters";

// A TIFF structure with "parameters" as UserComment (UTF-16, as piexif writes it) and all other texts as a JSON object
// in MakerNote, behind "diptych" and a NUL. Empty when there is no text. Throws Error(kInvalidArgument) for text that
// is not UTF-8.
std::string MakeExif(const PictureText& text);

// Of one text; a longer one is left out.
inline constexpr size_t kMostExifTextBytes = size_t{16} << 20;

// The texts that MakeExif wrote, "parameters" last, from a block of either byte order; what others wrote is left out,
// and so is what is damaged.
PictureText ReadExifText(std::string_view exif);

// How a picture lies, from 1 (upright) to 8; 1 also when the block says nothing, nothing sensible, or is damaged.
// Our own few lines and not libexif: that reads a whole block, with the notes of eight makers of cameras, for one
// number.
int ReadExifOrientation(std::string_view exif);

}  // namespace diptych
