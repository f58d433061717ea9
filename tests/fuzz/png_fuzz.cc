// Foreign bytes as a PNG: as they are, and with right checksums, without which libpng would stop at the first changed
// byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/image/png.h"
#include "tests/fuzz/png_checksums.h"

namespace {

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
  Decode(diptych::WithChecksums(bytes));
  return 0;
}
