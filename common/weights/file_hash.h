// Hashes of what a file holds at this moment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/weights/mapped_file.h"

namespace diptych {

// SHA-256 of these bytes of the file as it is now; empty when they cannot be read. Not through the mapping: the file
// may get shorter meanwhile. `buffer`: not empty, for the pieces that are read.
std::string HashNow(const MappedFile& file, uint64_t offset, uint64_t byte_count, std::vector<uint8_t>& buffer);

}  // namespace diptych
