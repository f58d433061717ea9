// What jobs need beside their text: source pictures and masks, as files named by the SHA-256 of their bytes. A job's
// row holds the hashes, never the bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/digest/sha256.h"
#include "render_node/jobs/durable_file.h"

namespace diptych {

// A file counts as whole blocks of 4096 bytes: many small ones fill a disk as well.
struct InputLimits {
  int64_t input_bytes = 64 << 20;  // of one
  int64_t all_bytes = 0;           // of all files together; 0: no limit
  int64_t host_bytes = 0;          // of what one host uploads within the time below; 0: no limit
  std::chrono::minutes kept{60};   // at least, since it was uploaded or asked for
};

class InputUpload;

// Thread-safe. A file comes before the row that names it: an upload stays for InputLimits::kept, then a sweep removes
// it unless a job needs it.
class InputStore {
 public:
  // `folder` must be there; nobody else writes to it.
  explicit InputStore(std::filesystem::path folder, InputLimits limits = {});

  // Begins to take a file. Throws Error: kInvalidArgument (no hash, no length, too long), kResourceExhausted (no room
  // within the limits or on the disk).
  std::unique_ptr<InputUpload> Begin(const std::string& sha256, int64_t byte_count, const std::string& host);

  // Makes the input as new for a sweep. False when there is none.
  bool Renew(const std::string& sha256);

  // The whole file. Throws Error: kDataLoss when it is missing or its bytes are not those of its name, else as
  // durable_file.h, when it cannot be read now.
  std::string Load(const std::string& sha256) const;

  // The beginning of the file, unchecked; throws likewise.
  std::string Head(const std::string& sha256, size_t bytes) const;

  // For sweeps, as PictureStore's.
  std::vector<std::string> NamesOlderThan(std::chrono::minutes age) const;
  bool RemoveOlderThan(const std::string& sha256, std::chrono::minutes age);

  int64_t Bytes() const;  // of all files together, and of those that are on their way, in whole blocks
  const InputLimits& limits() const { return limits_; }

 private:
  friend class InputUpload;

  std::filesystem::path PathOf(const std::string& sha256) const;
  void Take(int64_t bytes, const std::string& host);
  void Publish(const std::string& sha256, int64_t bytes, UnfinishedFile& file);
  void GiveBack(int64_t bytes);

  const std::filesystem::path folder_;
  const InputLimits limits_;
  mutable std::mutex mutex_;  // guards what follows, and what happens between a look at a file and what follows from it
  int64_t bytes_ = 0;
  // What hosts sent within limits_.kept, by the minute (of a steady clock), and in all.
  std::map<std::pair<int64_t, std::string>, int64_t> arrivals_;
  std::map<std::string, int64_t> hosts_;
};

// One file on its way. What is not finished leaves nothing behind. Not thread-safe.
class InputUpload {
 public:
  InputUpload(InputStore& store, std::string sha256, int64_t byte_count);
  ~InputUpload();
  InputUpload(const InputUpload&) = delete;
  InputUpload& operator=(const InputUpload&) = delete;

  // Throws Error(kDataLoss) beyond the length that was said; kResourceExhausted for a full disk.
  void Add(std::string_view bytes);

  // On disk when it returns; once. Throws Error(kDataLoss) for fewer bytes than said, or others than those of the hash.
  void Finish();

 private:
  InputStore& store_;
  const std::string sha256_;
  const int64_t byte_count_;
  int64_t received_ = 0;
  Sha256 digest_;
  UnfinishedFile file_;
  bool published_ = false;
};

}  // namespace diptych
