// A file that has its name when it is whole, and not before.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/files/file_descriptor.h"

namespace diptych {

// A failed system call: the code says what to do about it (kNotFound, kResourceExhausted for a full disk and too few
// descriptors, kDataLoss for a link where there must be none, kUnavailable for what is read-only or not permitted, else
// kInternal), error_number is its errno.
struct FileError : Error {
  FileError(const std::string& what, int number);  // "WHAT: No space left on device"
  int error_number;
};

// Written piece by piece beside the file that it shall become, under a name by chance (temporary_name.h). One that gets
// no name of its own is removed. Everything throws FileError. Not thread-safe.
class UnfinishedFile {
 public:
  // `mode`: of the new file, less the umask; by default its owner's alone.
  explicit UnfinishedFile(const std::filesystem::path& path, unsigned mode = 0600);
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  void Write(const void* bytes, size_t size);
  void Write(std::string_view bytes) { Write(bytes.data(), bytes.size()); }
  // On disk, under whatever name.
  void Sync();
  // Takes the name; a file that has it is replaced at once.
  void Rename(const std::filesystem::path& path);
  // False, and nothing done, where there is a file of this name.
  bool RenameToNew(const std::filesystem::path& path);

 private:
  const std::filesystem::path path_;  // that it shall become, for messages
  std::filesystem::path name_;
  FileDescriptor fd_;
  bool renamed_ = false;
};

// Whether a file of this name is one that its writer has not finished, or never will: of this version or of the ones
// before, which called them FILE.unfinished.XXXXXX.
bool IsUnfinishedName(std::string_view name);

}  // namespace diptych
