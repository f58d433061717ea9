// Foreign bytes as an EXIF block, alone and in the segments of a JPEG: texts that are no longer than what they are read
// from allows, or none.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/image/exif.h"
#include "common/image/jpeg_text.h"

namespace {

void Check(const diptych::PictureText& text, size_t size) {
  size_t bytes = 0;
  for (const auto& [keyword, value] : text) bytes += keyword.size() + value.size();
  if (bytes > 4 * size + 100) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Check(diptych::ReadExifText(bytes), size);
  std::string jpeg("\xFF\xD8", 2);
  for (const char marker : {'\xE1', '\xEB'}) {
    const std::string name = marker == '\xE1' ? std::string("Exif\0\0", 6) : std::string("diptych\0", 8);
    const std::string_view part = bytes.substr(0, 60000);
    const size_t length = 2 + name.size() + part.size();
    jpeg += {'\xFF', marker, static_cast<char>(length >> 8), static_cast<char>(length & 0xff)};
    jpeg += name;
    jpeg += part;
  }
  Check(diptych::ReadJpegText(jpeg), jpeg.size());
  try {
    Check(diptych::ReadJpegText(bytes), size);
  } catch (const diptych::Error&) {
  }
  return 0;
}
