// A file in memory without reading it: the kernel loads pages when they are touched and may drop them again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace diptych {

// Read-only mapping of a whole file, unmapped by the destructor. The bytes are valid while the object lives and as long
// as nobody truncates the file; replacing it by rename is harmless. Any thread may read.
class MappedFile {
 public:
  // Throws Error: kNotFound when there is no such file, kInvalidArgument when it is not a regular file or cannot be
  // read.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Empty for an empty file.
  std::span<const uint8_t> bytes() const { return {data_, size_}; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace diptych
