#include "render_node/conditioning/conditioning_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/conditioning/conditioning_record.h"
#include "render_node/jobs/durable_file.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * kNsPerSecond + time.tv_nsec; }

int64_t UnixNs() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return Nanoseconds(now);
}

// Best effort: the order of a read-only folder does not survive a restart.
void SetModificationTime(const fs::path& path, int64_t stamp) {
  const timespec times[2] = {{0, UTIME_OMIT}, {stamp / kNsPerSecond, stamp % kNsPerSecond}};
  ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

// Nothing wrong with the file: it may be readable in a moment.
bool MayPass(ErrorCode code) { return code == ErrorCode::kResourceExhausted || code == ErrorCode::kUnavailable; }

}  // namespace

ConditioningDisk::ConditioningDisk(fs::path folder, int64_t limit) : folder_(std::move(folder)), limit_(limit) {
  Try([this] { Index(); });
  std::vector<std::string> victims;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    victims = TakeVictims();
  }
  RemoveFiles(victims);
}

void ConditioningDisk::Index() {
  MakePrivateFolder(folder_);
  Try([this] { RemoveUnfinishedFiles(folder_); });
  struct Found {
    int64_t stamp;
    int64_t bytes;
    std::string key;
  };
  std::vector<Found> all;
  for (const fs::directory_entry& file : fs::directory_iterator(folder_)) {
    std::string name = file.path().filename().string();
    struct stat facts {};
    if (!IsSha256Hex(name) || ::lstat(file.path().c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
    all.push_back({Nanoseconds(facts.st_mtim), static_cast<int64_t>(facts.st_size), std::move(name)});
  }
  std::sort(all.begin(), all.end(), [](const Found& a, const Found& b) { return a.stamp < b.stamp; });
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const Found& found : all) {
    Insert(found.key, found.bytes);
    stats_.bytes += found.bytes;
    last_stamp_ = found.stamp;
  }
}

bool ConditioningDisk::Has(const std::string& key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.contains(key);
}

std::optional<Conditioning> ConditioningDisk::Read(const std::string& key, bool& damaged) {
  std::shared_ptr<Entry> entry;
  int64_t stamp = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = entries_.find(key);
    if (at == entries_.end()) return std::nullopt;
    entry = at->second;
    ++entry->readers;
    MoveToFront(*entry);
    stamp = NextStamp();
  }
  std::optional<Conditioning> conditioning;
  damaged = false;
  Try([&] {
    try {
      conditioning = ParseConditioningRecord(key, ReadWholeFile(PathOf(key)));
      SetModificationTime(PathOf(key), stamp);
    } catch (const Error& error) {
      damaged = !MayPass(error.code());
      if (!damaged) throw;
    }
  });
  EndReading(key, entry, damaged);
  return conditioning;
}

// Another reader may have found the damage first, and a writer may have put a whole file in its place since: only the
// entry that was read is removed.
void ConditioningDisk::EndReading(const std::string& key, const std::shared_ptr<Entry>& entry, bool damaged) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    --entry->readers;
    if (!damaged) return;
    const auto at = entries_.find(key);
    if (at == entries_.end() || at->second != entry) return;
    ++stats_.damaged;
    stats_.bytes -= entry->bytes;
    order_.erase(entry->place);
    entries_.erase(at);
    busy_.insert(key);
  }
  RemoveFiles({key});
}

void ConditioningDisk::Write(const std::string& key, const Conditioning& conditioning) {
  Try([&] {
    const std::string head = ConditioningRecordHead(key, conditioning);
    const auto size = static_cast<int64_t>(head.size() + conditioning.bytes.size());
    if (size > limit_) return;
    std::vector<std::string> victims;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (entries_.contains(key) || !busy_.insert(key).second) return;
      stats_.bytes += size;
      victims = TakeVictims();
    }
    RemoveFiles(victims);
    const bool written = Try([&] {
      ReplaceFile(PathOf(key), {{head.data(), head.size()}, {conditioning.bytes.data(), conditioning.bytes.size()}});
    });
    int64_t stamp = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      busy_.erase(key);
      if (written) {
        Insert(key, size);
        stamp = NextStamp();
      } else {
        stats_.bytes -= size;
      }
    }
    if (written) SetModificationTime(PathOf(key), stamp);
  });
}

void ConditioningDisk::Touch(const std::string& key) {
  int64_t stamp = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = entries_.find(key);
    if (at == entries_.end() || at->second->place == order_.begin()) return;
    MoveToFront(*at->second);
    stamp = NextStamp();
  }
  SetModificationTime(PathOf(key), stamp);
}

ConditioningDisk::Stats ConditioningDisk::stats() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Stats stats = stats_;
  stats.entries = static_cast<int64_t>(entries_.size());
  return stats;
}

// The caller holds the lock, here and in the three below.
void ConditioningDisk::Insert(const std::string& key, int64_t bytes) {
  order_.push_front(key);
  entries_[key] = std::make_shared<Entry>(Entry{bytes, order_.begin(), 0});
}

void ConditioningDisk::MoveToFront(Entry& entry) { order_.splice(order_.begin(), order_, entry.place); }

// Later than every one before, also where somebody sets the clock back.
int64_t ConditioningDisk::NextStamp() { return last_stamp_ = std::max(UnixNs(), last_stamp_ + 1); }

std::vector<std::string> ConditioningDisk::TakeVictims() {
  std::vector<std::string> victims;
  for (auto place = order_.end(); stats_.bytes > limit_ && place != order_.begin();) {
    --place;
    const auto at = entries_.find(*place);
    if (at->second->readers > 0) continue;
    victims.push_back(*place);
    stats_.bytes -= at->second->bytes;
    busy_.insert(*place);
    entries_.erase(at);
    place = order_.erase(place);
  }
  return victims;
}

// They are busy until their files are gone.
void ConditioningDisk::RemoveFiles(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    Try([&] {
      if (::unlink(PathOf(key).c_str()) != 0 && errno != ENOENT) {
        throw SystemCallError("cannot remove " + PathOf(key).string());
      }
    });
    const std::lock_guard<std::mutex> lock(mutex_);
    busy_.erase(key);
  }
}

// False, and counted, when `work` throws.
bool ConditioningDisk::Try(const std::function<void()>& work) {
  std::string failure;
  try {
    work();
    return true;
  } catch (const std::exception& error) {
    failure = error.what();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  ++stats_.failures;
  stats_.last_failure = failure;
  return false;
}

}  // namespace diptych
