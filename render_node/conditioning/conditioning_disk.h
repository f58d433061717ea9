// The disk part of the conditioning store: one file an entry, least recently used ones go first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/conditioning/conditioning.h"

namespace diptych {

// Thread-safe. Files are read and written outside the lock. Nothing here throws once it is made: what a disk cannot do
// is counted.
//
// Nothing waits for the disk: a record says by itself whether it is whole, so a killed process loses nothing and a
// power cut costs at most the latest entries. When an entry was last used is the file's modification time, which is why
// the order survives a restart.
class ConditioningDisk {
 public:
  struct Stats {
    int64_t entries = 0;
    int64_t bytes = 0;
    int64_t damaged = 0;   // files that were not what their names promise, or gone
    int64_t failures = 0;  // reads, writes and removals that the disk refused
    std::string last_failure;
  };

  // Makes `folder` if it is not there, clears what a killed process left half written, and looks at names, sizes and
  // times; the files themselves are read when asked for. Files whose names are no keys are left alone. One owner at a
  // time.
  ConditioningDisk(std::filesystem::path folder, int64_t limit);

  bool Has(const std::string& key) const;

  // Nothing when there is no such entry. A damaged one is removed, and `damaged` set.
  std::optional<Conditioning> Read(const std::string& key, bool& damaged);

  // Removes what was not used for longest until there is room, but nothing that is being read. Larger than the limit:
  // not kept.
  void Write(const std::string& key, const Conditioning& conditioning);

  // Says that the entry was used, though it was not read here.
  void Touch(const std::string& key);

  Stats stats() const;

 private:
  struct Entry {
    int64_t bytes = 0;
    std::list<std::string>::iterator place;
    int readers = 0;
  };

  std::filesystem::path PathOf(const std::string& key) const { return folder_ / key; }
  void Index();
  void Insert(const std::string& key, int64_t bytes);
  void MoveToFront(Entry& entry);
  int64_t NextStamp();
  std::vector<std::string> TakeVictims();
  void RemoveFiles(const std::vector<std::string>& keys);
  bool Try(const std::function<void()>& work);
  void EndReading(const std::string& key, const std::shared_ptr<Entry>& entry, bool damaged);

  const std::filesystem::path folder_;
  const int64_t limit_;

  mutable std::mutex mutex_;  // guards everything below
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
  std::list<std::string> order_;          // of use, the latest first
  std::unordered_set<std::string> busy_;  // keys without an entry whose files are being written or removed
  int64_t last_stamp_ = 0;                // the latest modification time that was given, ns since 1970
  Stats stats_;                           // but for `entries`; `bytes` includes what is being written
};

}  // namespace diptych
