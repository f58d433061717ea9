// A PNG's checksums put right, so that what was changed in it reaches what reads it.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace diptych {

// The bytes with the checksum of every whole chunk put right.
inline std::string WithChecksums(std::string bytes) {
  constexpr size_t kSignature = 8;
  constexpr size_t kAroundData = 12;  // length, name and checksum of a chunk
  for (size_t at = kSignature; at + kAroundData <= bytes.size();) {
    size_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<uint8_t>(bytes[at + i]);
    if (size > bytes.size() - at - kAroundData) break;
    const auto* name = reinterpret_cast<const Bytef*>(bytes.data() + at + 4);
    const auto sum = static_cast<uint32_t>(crc32(0, name, static_cast<uInt>(size + 4)));
    for (size_t i = 0; i < 4; ++i) bytes[at + 8 + size + i] = static_cast<char>(sum >> (24 - 8 * i));
    at += size + kAroundData;
  }
  return bytes;
}

}  // namespace diptych
