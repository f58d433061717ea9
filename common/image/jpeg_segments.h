// The pieces of a JPEG in front of its pixels, without looking into them.
#pragma once

#include <cstdint>
#include <string_view>

namespace diptych {

inline constexpr std::string_view kJpegStart = "\xFF\xD8";
inline constexpr std::string_view kExifName("Exif\0\0", 6);  // begins an APP1 with an EXIF block

struct JpegSegment {
  static constexpr uint8_t kApp0 = 0xE0, kApp1 = 0xE1, kApp11 = 0xEB, kScan = 0xDA, kEnd = 0xD9;

  uint8_t marker = 0;
  std::string_view data;   // without the length
  std::string_view whole;  // with marker and length
};

// Takes the segment at the front, behind kJpegStart; one without data for the end, the pixels, and bytes that are none.
JpegSegment TakeJpegSegment(std::string_view& bytes);

}  // namespace diptych
