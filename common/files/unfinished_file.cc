#include "common/files/unfinished_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "common/files/temporary_name.h"
#include "common/files/transfer.h"

namespace diptych {
namespace {

ErrorCode CodeOf(int error_number) {
  switch (error_number) {
    case ENOENT:
      return ErrorCode::kNotFound;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return ErrorCode::kResourceExhausted;
    case ELOOP:
      return ErrorCode::kDataLoss;
    case EROFS:
    case EACCES:
    case EPERM:
    case ENOTDIR:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

std::string TextOf(int error_number) {
  return error_number == ELOOP ? "it is a symbolic link" : std::generic_category().message(error_number);
}

}  // namespace

FileError::FileError(const std::string& what, int number)
    : Error(CodeOf(number), what + ": " + TextOf(number)), error_number(number) {}

UnfinishedFile::UnfinishedFile(const std::filesystem::path& path, unsigned mode) : path_(path) {
  NewFile made = MakeTemporaryBeside(path, mode);
  if (made.fd < 0) throw FileError("cannot create a file in " + path.parent_path().string(), errno);
  fd_ = FileDescriptor(made.fd);
  name_ = std::move(made.path);
}

UnfinishedFile::~UnfinishedFile() {
  if (!renamed_) unlink(name_.c_str());
}

void UnfinishedFile::Write(const void* bytes, size_t size) {
  if (const int error = WriteAll(fd_.get(), bytes, size)) throw FileError("cannot write " + path_.string(), error);
}

void UnfinishedFile::Sync() {
  if (fsync(fd_.get()) != 0) throw FileError("cannot sync " + path_.string(), errno);
}

void UnfinishedFile::Rename(const std::filesystem::path& path) {
  if (rename(name_.c_str(), path.c_str()) != 0) throw FileError("cannot create " + path.string(), errno);
  renamed_ = true;
}

bool UnfinishedFile::RenameToNew(const std::filesystem::path& path) {
  // Both fail where there is a file; the second is for file systems that have no such rename.
  int error = renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0 ? 0 : errno;
  if (error == EINVAL || error == ENOSYS) {
    error = link(name_.c_str(), path.c_str()) == 0 ? 0 : errno;
    if (error == 0) return true;  // the first name goes with this object
  }
  if (error == EPERM || error == EOPNOTSUPP) {  // a file system without links either: as well as it can be done
    struct stat there = {};
    error = lstat(path.c_str(), &there) == 0 ? EEXIST : rename(name_.c_str(), path.c_str()) == 0 ? 0 : errno;
  }
  if (error == EEXIST) return false;
  if (error != 0) throw FileError("cannot create " + path.string(), error);
  renamed_ = true;
  return true;
}

bool IsUnfinishedName(std::string_view name) {
  return name.find(kTemporaryMark) != std::string_view::npos || name.find(".unfinished.") != std::string_view::npos;
}

}  // namespace diptych
