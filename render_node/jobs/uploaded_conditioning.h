// Conditioning that came with a job instead of a prompt, kept as content-addressed files; the job's row holds the
// hashes.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/conditioning/conditioning.h"

namespace diptych {

struct UploadedConditioning {
  std::optional<Conditioning> positive;
  std::optional<Conditioning> negative;
};

// Thread-safe.
class ConditioningFiles {
 public:
  // `folder` must be there.
  explicit ConditioningFiles(std::filesystem::path folder);

  // On disk when it returns. Returns the hash (ConditioningHash) that names it. Throws Error: kInvalidArgument
  // (CheckConditioning), and as durable_file.h says.
  std::string Save(const Conditioning& conditioning);

  // Throws Error: kDataLoss when the file is missing, damaged or not what its name says; else as durable_file.h says,
  // when it cannot be read now.
  Conditioning Load(const std::string& hash) const;

  // False when there is none that was saved longer ago.
  bool RemoveOlderThan(const std::string& hash, std::chrono::minutes age);

  // Of files that were written longer ago, in no order.
  std::vector<std::string> NamesOlderThan(std::chrono::minutes age) const;

 private:
  const std::filesystem::path folder_;
  std::mutex sweeping_;  // between a look at a file's age and what follows from it
};

}  // namespace diptych
