// Conditioning that came with a job instead of a prompt, kept as content-addressed files; the job's row holds the
// hashes.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/conditioning/conditioning.h"

namespace diptych {

struct UploadedConditioning {
  std::optional<Conditioning> positive;
  std::optional<Conditioning> negative;
};

// Of the rows alone.
int64_t BytesOf(const UploadedConditioning& uploaded);

class ConditioningFiles;

// A file that RemoveUnlessHeld leaves alone as long as this lives.
class HeldUpload {
 public:
  HeldUpload(ConditioningFiles& files, std::string hash);
  ~HeldUpload();
  HeldUpload(const HeldUpload&) = delete;
  HeldUpload& operator=(const HeldUpload&) = delete;

 private:
  ConditioningFiles& files_;
  const std::string hash_;
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

  // Removes the file at once, unless somebody holds it or `is_needed` says so, which is asked while nobody can begin to
  // hold it. False when it stays or there is none.
  bool RemoveUnlessHeld(const std::string& hash, const std::function<bool()>& is_needed);

  // False when there is none that was saved longer ago.
  bool RemoveOlderThan(const std::string& hash, std::chrono::minutes age);

  // Of files that were written longer ago, in no order.
  std::vector<std::string> NamesOlderThan(std::chrono::minutes age) const;

 private:
  friend class HeldUpload;

  const std::filesystem::path folder_;
  std::mutex sweeping_;  // between a look at a file's age and what follows from it
  std::mutex holding_;   // guards held_
  std::multiset<std::string> held_;
};

}  // namespace diptych
