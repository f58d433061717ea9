// Hashes of weights that were computed before, so that a second start need not read gigabytes.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "common/files/file_descriptor.h"
#include "common/source_files/file_facts.h"
#include "common/weights/mapped_file.h"

namespace diptych {

// Bytes of a file.
struct FilePlace {
  uint64_t offset = 0;
  uint64_t byte_count = 0;
  auto operator<=>(const FilePlace&) const = default;
};

// SHA-256 of what lies there, 64 hexadecimal digits each. By place and not by name: whatever tensors are called, and
// whether two of them are parts of one, it is the same.
using PlaceHashes = std::map<FilePlace, std::string>;

// A folder with a small file for each weights file, named by the SHA-256 of its canonical path. What is in it holds for
// a file of exactly these facts: path, device, inode, size and both times. The last change of a file (ctime) is the
// system's own and cannot be set, so that whoever writes into it, or puts another one there, is noticed by it; who can
// set the system's clock, or write past the file system, is not.
//
// Nothing about the folder is an error. A file in it that is damaged, a link, another user's or writable by others
// counts as none and is replaced; a folder of that kind is left alone. At most kMostFiles files, those that were of no
// use for longest go. Any thread, and any process, at any time.
class FingerprintCache {
 public:
  static constexpr size_t kMostFiles = 256;
  static constexpr size_t kMostBytes = 16 << 20;  // of one of its files; longer ones are not written

  struct Entry {
    FileFacts facts;
    PlaceHashes hashes;
  };

  // `folder` empty: nothing is remembered. It is made, with those above it, when there is something to remember.
  // `just_changed`: for tests.
  explicit FingerprintCache(std::filesystem::path folder, bool (*just_changed)(const FileFacts&) = &ChangedJustNow)
      : folder_(std::move(folder)), just_changed_(just_changed) {}

  const std::filesystem::path& folder() const { return folder_; }

  // What was remembered last of the file at this path, whatever its facts are now; it counts as used.
  std::optional<Entry> Find(const MappedFile& file) const;
  // The same where it holds for the file that was opened; else empty.
  PlaceHashes Known(const MappedFile& file) const;

  // To be asked before the bytes are read: what is written from now on will show in the facts. Not so of a file that
  // changed just now, or since it was opened.
  bool IsSettled(const MappedFile& file) const;
  // Remembers `hashes`, computed from what was there since IsSettled was true, beside what is Known. Not when the file
  // is another one now. Returns why not, in a few words; empty: it did, or nobody wants it.
  std::string Keep(const MappedFile& file, const PlaceHashes& hashes) const;

 private:
  FileDescriptor OpenFolder(std::string* problem) const;
  void RemoveOldest() const;

  const std::filesystem::path folder_;
  bool (*const just_changed_)(const FileFacts&);
};

}  // namespace diptych
