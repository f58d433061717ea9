// The pieces of a WebP, without looking into them.
#pragma once

#include <optional>
#include <string_view>

namespace diptych {

// The first chunk of this name ("EXIF"). `cut`: the bytes end within a chunk in front of it. Throws Error(kDataLoss)
// for bytes that are no WebP.
std::optional<std::string_view> FindWebpChunk(std::string_view bytes, std::string_view wanted, bool* cut);

}  // namespace diptych
