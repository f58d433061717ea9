// Foreign bytes as a picture of any format: a whole picture within the limits, or an Error, and both looks at its head
// agree. PNGs also with right checksums, without which libpng would stop at the first changed byte; and any bytes as
// the EXIF block of a JPEG and of a WebP.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/image/decode_picture.h"
#include "common/image/exif.h"
#include "tests/fuzz/png_checksums.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

void Decode(std::string_view bytes) {
  const diptych::DecodeLimits limits = {.max_side = 200, .max_pixels = 10'000, .max_bytes = 1 << 20};
  diptych::PictureSize size;
  bool has_size = false;
  try {
    size = diptych::PeekPictureSize(bytes);
    has_size = true;
  } catch (const diptych::Error&) {
  }
  try {
    const diptych::DecodedPicture decoded = diptych::DecodePicture(bytes, limits);
    const auto& [width, height, rgb] = decoded.picture;
    const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
    Require(has_size && size.width == width && size.height == height);
    Require(pixels > 0 && pixels <= 10'000 && rgb.size() == 3 * pixels);
    Require(size.has_alpha == decoded.alpha.has_value());
    if (decoded.alpha) Require(decoded.alpha->width == width && decoded.alpha->grey.size() == pixels);
  } catch (const diptych::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Decode(bytes);
  if (bytes.substr(0, 4) == "\x89PNG") Decode(diptych::WithChecksums(std::string(bytes)));
  const int orientation = diptych::ReadExifOrientation(bytes);
  Require(orientation >= 1 && orientation <= 8);
  return 0;
}
