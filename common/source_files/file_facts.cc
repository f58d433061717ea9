#include "common/source_files/file_facts.h"

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>

namespace diptych {
namespace {

FileFacts ToFacts(const struct stat& info) {
  const auto nanoseconds = [](const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; };
  return {.device = static_cast<uint64_t>(info.st_dev),
          .inode = static_cast<uint64_t>(info.st_ino),
          .size = static_cast<int64_t>(info.st_size),
          .mtime_ns = nanoseconds(info.st_mtim),
          .ctime_ns = nanoseconds(info.st_ctim)};
}

}  // namespace

std::optional<FileFacts> FactsOf(int descriptor) {
  struct stat info;
  if (fstat(descriptor, &info) != 0) return std::nullopt;
  return ToFacts(info);
}

std::optional<FileFacts> FactsOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return ToFacts(info);
}

std::string DifferenceText(const FileFacts& before, const std::optional<FileFacts>& now) {
  if (!now) return "it is gone";
  if (!now->IsSameFile(before)) return "another file lies there";
  if (now->size != before.size) {
    return "it is " + std::to_string(now->size) + " bytes long, not " + std::to_string(before.size);
  }
  if (now->mtime_ns != before.mtime_ns) return "it was written to";
  if (now->ctime_ns != before.ctime_ns) return "something about it was changed";
  return "";
}

bool ChangedJustNow(const FileFacts& facts) {
  using std::chrono::nanoseconds;
  const auto now = std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch());
  return std::llabs(now.count() - facts.ctime_ns) < 2'000'000'000;
}

}  // namespace diptych
