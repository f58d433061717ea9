// PNG in memory: encode with metadata, decode foreign files within bounds. Wraps libpng.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/image/picture.h"

namespace diptych {

// Keyword and text in UTF-8, in file order.
using PngText = std::vector<std::pair<std::string, std::string>>;

// Equal input gives equal bytes with the same zlib: fixed compression level and filter, no time stamp.
// Throws Error(kInvalidArgument) for a picture without pixels, or whose bytes do not match its size, or beyond
// PngLimits' sizes, and for a keyword that is not 1 to 79 printable ASCII characters or a text with a NUL byte.
std::string EncodePng(const Picture& picture, const PngText& text);

struct PngLimits {
  uint32_t max_side = 16384;         // pixels; of what is decoded
  uint64_t max_pixels = 64'000'000;  // likewise
  size_t max_text_bytes =
      8 * 1024 * 1024;  // of one chunk, uncompressed; a longer text is left out, a longer stored chunk refused
  uint32_t max_text_chunks = 1000;
};

struct PngFile {
  Picture picture;
  PngText text;
};

// Any PNG: grey, palette, 16-bit and alpha become 8-bit RGB (alpha is dropped, nothing is blended).
// Throws Error: kDataLoss for bytes that are not a whole PNG, kInvalidArgument beyond a limit.
PngFile DecodePng(std::string_view bytes, const PngLimits& limits = {});

// The texts before the pixels, without decoding them: of a picture of any size. Throws like DecodePng.
PngText ReadPngText(std::string_view bytes, const PngLimits& limits = {});

}  // namespace diptych
