// Finished conditioning by key: in memory, then on disk. The same prompt with another seed, another size or tomorrow
// needs no encoder. No gRPC and no libtorch here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/conditioning/conditioning.h"
#include "render_node/conditioning/conditioning_disk.h"
#include "render_node/conditioning/conditioning_key.h"

namespace diptych {

struct ConditioningStoreOptions {
  std::filesystem::path folder;  // of the disk part, its own
  int64_t memory_limit = 0;      // bytes
  int64_t disk_limit = 0;        // bytes; 0: no disk part, and nothing touches the folder
};

// Thread-safe. In both parts what was not used for longest goes first. No call waits for the disk work of another
// key's call. A full disk, a read-only folder or a damaged file costs an entry, never the memory part and never the
// caller: nothing here throws, but for std::bad_alloc from Find.
class ConditioningStore {
 public:
  struct Stats {
    int64_t memory_hits = 0;
    int64_t disk_hits = 0;
    int64_t misses = 0;
    int64_t damaged = 0;        // files that were not what their names promise; removed, and missed
    int64_t disk_failures = 0;  // what the disk refused
    std::string last_failure;   // the latest of these
    int64_t memory_bytes = 0;
    int64_t disk_bytes = 0;
    int64_t entries = 0;  // in either part
  };

  // Looks at names and sizes in the folder, not into the files.
  explicit ConditioningStore(ConditioningStoreOptions options);

  // `damaged`, if given, is set when there was a file and it was damaged.
  std::optional<Conditioning> Find(const std::string& key, bool* damaged = nullptr);
  // Whether Find would look at something; reads no file, counts nothing and is no use of the entry.
  bool Has(const std::string& key) const;
  void Put(const std::string& key, const Conditioning& conditioning);

  Stats stats() const;

  // The encoders' identity as last set; it survives a restart with the disk part, so that what is stored can be found
  // while no encoder answers.
  std::optional<EncoderIdentity> identity() const;
  void SetIdentity(const EncoderIdentity& identity);

 private:
  struct Entry {
    std::shared_ptr<const Conditioning> conditioning;
    int64_t bytes;
    std::list<std::string>::iterator place;
  };

  std::shared_ptr<const Conditioning> FindInMemory(const std::string& key);
  void KeepInMemory(const std::string& key, std::shared_ptr<const Conditioning> conditioning);

  const ConditioningStoreOptions options_;
  std::unique_ptr<ConditioningDisk> disk_;  // null without

  mutable std::mutex mutex_;  // guards everything below; nobody waits for a disk with it
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> order_;  // of use, the latest first
  std::optional<EncoderIdentity> identity_;
  Stats stats_;                  // the memory part's
  std::mutex identity_writing_;  // one at a time, so that the file says what was set last
};

}  // namespace diptych
