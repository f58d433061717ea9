#include "common/weights/file_hash.h"

#include <algorithm>

#include "common/digest/sha256.h"

namespace diptych {

std::string HashNow(const MappedFile& file, uint64_t offset, uint64_t byte_count, std::vector<uint8_t>& buffer) {
  Sha256 digest;
  for (uint64_t done = 0; done < byte_count;) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(buffer.size(), byte_count - done));
    if (!file.ReadNow(offset + done, {buffer.data(), part})) return "";
    digest.Update(buffer.data(), part);
    done += part;
  }
  return digest.HexDigest();
}

}  // namespace diptych
