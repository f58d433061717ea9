// Finished pictures: PNG files named by the hash of their bytes. A job's row says which one is its picture.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "render_node/jobs/picture_file.h"

namespace diptych {

// Thread-safe. Publishing comes before the job's row names the picture; after a crash between the two the file belongs
// to nobody until the job is painted again, which gives the same bytes, or a sweep removes it.
class PictureStore {
 public:
  // `folder` must be there.
  explicit PictureStore(std::filesystem::path folder);

  // Returns the name: SHA-256 of the bytes, 64 hex digits. On disk when it returns; no part of it is there when it
  // throws Error (durable_file.h).
  std::string Publish(const std::vector<uint8_t>& png);

  // `name` as a job has it (stores of version 2 and before named pictures by job id). Throws Error: kNotFound when
  // there is none, kDataLoss when the bytes are not those of the name.
  std::vector<uint8_t> Load(const std::string& name) const;

  // The same, to be read piece by piece.
  std::unique_ptr<PictureFile> Open(const std::string& name) const;

  bool Has(const std::string& name) const;

  // Makes the picture as new for a sweep: somebody's row will name it. False when there is none.
  bool Renew(const std::string& name);

  // False when there is none that was written, published or renewed longer ago.
  bool RemoveOlderThan(const std::string& name, std::chrono::minutes age);

  // Of files that were written longer ago, in no order; none but pictures.
  std::vector<std::string> NamesOlderThan(std::chrono::minutes age) const;

  // Of all files together; looks at each.
  int64_t Bytes() const;

 private:
  std::filesystem::path PathOf(const std::string& name) const;

  const std::filesystem::path folder_;
  std::mutex sweeping_;  // between a look at a file's age and what follows from it
};

}  // namespace diptych
