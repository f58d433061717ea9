// Foreign bytes as a PNG: as they are, and with right checksums, without which libpng would stop at the first changed
// byte.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/image/png.h"

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

void Decode(const std::string& bytes) {
  const diptych::PngLimits limits = {
      .max_side = 128, .max_pixels = 4096, .max_text_bytes = 1 << 16, .max_text_chunks = 16};
  try {
    const diptych::PngFile file = diptych::DecodePng(bytes, limits);
    const auto pixels = static_cast<size_t>(file.picture.width) * static_cast<size_t>(file.picture.height);
    if (file.picture.rgb.size() != 3 * pixels || pixels > limits.max_pixels) std::abort();
  } catch (const diptych::Error&) {
  }
  try {
    diptych::ReadPngText(bytes, limits);
  } catch (const diptych::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  Decode(bytes);
  Decode(WithChecksums(bytes));
  return 0;
}
