// The pieces of a PNG, without looking into them.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace diptych {

struct PngChunk {
  std::string_view name;   // "tEXt"
  std::string_view data;   // of which the checksum is not checked
  std::string_view whole;  // with length, name and checksum
};

// Visits every chunk in file order up to IEND or the end of the bytes. False when these end within a chunk or before
// IEND; `cut` is then the name of that chunk, if it has one. Throws Error(kDataLoss) for bytes that are no PNG.
bool ForEachPngChunk(std::string_view bytes, const std::function<void(const PngChunk&)>& visit,
                     std::string_view* cut = nullptr);

bool IsPngText(std::string_view name);  // tEXt, zTXt, iTXt

}  // namespace diptych
