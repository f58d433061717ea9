// PNG in memory: encode with metadata, decode foreign files within bounds. Wraps libpng.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/concurrency/pause.h"
#include "common/image/picture.h"

namespace diptych {

using PngText = PictureText;

// Equal input gives equal bytes with the same zlib: fixed compression level and filter, no time stamp.
// Throws Error(kInvalidArgument) for a picture without pixels, or whose bytes do not match its size, or beyond
// PngLimits' sizes, and for a keyword that is not 1 to 79 printable ASCII characters or a text with a NUL byte.
// Pauses once in some dozen rows.
std::string EncodePng(const Picture& picture, const PngText& text, const Pause& pause = {});

struct PngLimits {
  uint32_t max_side = 16384;                     // pixels; of what is decoded
  uint64_t max_pixels = 64'000'000;              // likewise
  size_t max_text_bytes = 8 * 1024 * 1024;       // of one text, uncompressed; a longer one is left out
  size_t max_all_text_bytes = 32 * 1024 * 1024;  // of all together; what comes behind is left out
  uint32_t max_text_chunks = 1000;
};

struct PngFile {
  Picture picture;
  PngText text;
};

// Any PNG: grey, palette, 16-bit and alpha become 8-bit RGB (alpha is dropped, nothing is blended).
// Throws Error: kDataLoss for bytes that are not a whole PNG, kInvalidArgument beyond a limit of sizes
// and for a chunk beside the pixels that is longer than a text may be.
PngFile DecodePng(std::string_view bytes, const PngLimits& limits = {});

// The texts before and behind the pixels, without decoding these: of a picture of any size, and also of one whose
// pixels are damaged or cut off. Texts in an eXIf chunk come last. Throws Error(kDataLoss) for bytes that are no PNG,
// and when nothing is found before a damaged or missing end.
PngText ReadPngText(std::string_view bytes, const PngLimits& limits = {});

// The same PNG without any text, byte for byte otherwise. Throws Error(kDataLoss) for bytes that are not a whole PNG.
std::string WithoutPngText(std::string_view bytes);

}  // namespace diptych
