// Finished pictures, one PNG a job.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace diptych {

// Thread-safe. Publishing comes before the job's row says done, and nobody loads the picture of a job that is not done:
// after a crash between the two the job is painted again and its picture replaces this one.
class PictureStore {
 public:
  // `folder` must be there.
  explicit PictureStore(std::filesystem::path folder);

  // On disk when it returns; no part of it is there when it throws Error (durable_file.h).
  void Publish(const std::string& job_id, const std::vector<uint8_t>& png);

  // Throws Error(kNotFound) when the job has no picture.
  std::vector<uint8_t> Load(const std::string& job_id) const;

  bool Has(const std::string& job_id) const;

  // No error when there is none.
  void Remove(const std::string& job_id);

 private:
  std::filesystem::path PathOf(const std::string& job_id) const;

  const std::filesystem::path folder_;
};

}  // namespace diptych
