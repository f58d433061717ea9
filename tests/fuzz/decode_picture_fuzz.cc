// Foreign bytes as a picture of any format: a whole picture within the limits, or an Error, and both looks at its head
// agree. PNGs also with right checksums, without which libpng would stop at the first changed byte; and any bytes as
// the EXIF block of a JPEG and of a WebP.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/image/decode_picture.h"
#include "common/image/exif.h"

namespace {

constexpr size_t kSignature = 8;
constexpr size_t kAroundData = 12;  // length, name and checksum of a chunk

uint32_t ReadBigEndian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// The bytes with the checksum of every whole chunk put right.
std::string WithChecksums(std::string bytes) {
  for (size_t at = kSignature; at + kAroundData <= bytes.size();) {
    const size_t size = ReadBigEndian(bytes, at);
    if (size > bytes.size() - at - kAroundData) break;
    const auto* name = reinterpret_cast<const Bytef*>(bytes.data() + at + 4);
    const auto sum = static_cast<uint32_t>(crc32(0, name, static_cast<uInt>(size + 4)));
    for (size_t i = 0; i < 4; ++i) bytes[at + 8 + size + i] = static_cast<char>(sum >> (24 - 8 * i));
    at += size + kAroundData;
  }
  return bytes;
}

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
  if (bytes.substr(0, 4) == "\x89PNG") Decode(WithChecksums(std::string(bytes)));
  const int orientation = diptych::ReadExifOrientation(bytes);
  Require(orientation >= 1 && orientation <= 8);
  return 0;
}
