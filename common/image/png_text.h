// The texts of a PNG, unpacked within bounds.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/image/png.h"
#include "common/image/png_chunks.h"

namespace diptych {

// Takes the text chunks of one file in its order. What is damaged, longer than a text may be or beyond the bounds on
// all of them together is left out: a compressed text is unpacked no further than the bound that it meets first, and
// what was unpacked counts, also of a text that is left out.
class PngTextReader {
 public:
  explicit PngTextReader(const PngLimits& limits) : limits_(limits), bytes_left_(limits.max_all_text_bytes) {}

  void Take(const PngChunk& chunk);  // of any name; what is no text is passed over
  PngText& text() { return text_; }

 private:
  void TakeText(std::string_view keyword, std::string_view value, bool is_latin1);
  void TakeCompressed(std::string_view keyword, std::string_view packed, bool is_latin1);

  const PngLimits limits_;
  size_t bytes_left_;
  PngText text_;
};

}  // namespace diptych
