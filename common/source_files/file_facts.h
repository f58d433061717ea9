// What the file system says of a file: enough to notice that it is not the one that was read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace diptych {

struct FileFacts {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;      // bytes
  int64_t mtime_ns = 0;  // last written to; tools that copy set it to what they like
  int64_t ctime_ns = 0;  // last change of anything, and nobody can set it

  bool operator==(const FileFacts&) const = default;
  bool IsSameFile(const FileFacts& other) const { return device == other.device && inode == other.inode; }
};

std::optional<FileFacts> FactsOf(int descriptor);           // nullopt: the file system does not answer
std::optional<FileFacts> FactsOf(const std::string& path);  // follows links; nullopt: nothing is there

// What is different, in a few words: "it is 4096 bytes long, not 7905280"; empty: nothing.
std::string DifferenceText(const FileFacts& before, const std::optional<FileFacts>& now);

// Whether something changed it within the last two seconds: a copy may still be under way.
bool ChangedJustNow(const FileFacts& facts);

}  // namespace diptych
