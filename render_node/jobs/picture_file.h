// A stored picture, read piece by piece.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "render_node/jobs/durable_file.h"

namespace diptych {

// Its memory is that of one piece, however large the picture. For one thread at a time.
class PictureFile {
 public:
  // Reads it once through. Throws Error: kNotFound when there is none, kDataLoss when `sha256` is not empty and not
  // that of the bytes.
  PictureFile(const std::filesystem::path& path, const std::string& sha256);

  int64_t size() const { return size_; }
  const std::string& sha256() const { return sha256_; }

  // Throws Error(kDataLoss) when the file has become shorter.
  std::string Read(int64_t offset, int64_t size) const;

 private:
  const std::filesystem::path path_;
  const FileDescriptor fd_;
  int64_t size_ = 0;
  std::string sha256_;
};

}  // namespace diptych
