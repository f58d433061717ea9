#include "common/weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/error/error.h"

namespace diptych {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

[[noreturn]] void ThrowSystemError(const std::string& path, int error_number) {
  const ErrorCode code = error_number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument;
  throw Error(code, path + ": " + std::strerror(error_number));
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  // Non-blocking: opening a pipe must fail below rather than wait for a writer.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) ThrowSystemError(path, errno);
  struct stat info;
  if (fstat(file.get(), &info) != 0) ThrowSystemError(path, errno);
  if (!S_ISREG(info.st_mode)) throw Error(ErrorCode::kInvalidArgument, path + ": not a regular file");
  if (info.st_size == 0) return;  // mmap refuses a length of zero
  void* address = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) ThrowSystemError(path, errno);
  data_ = static_cast<const uint8_t*>(address);
  size_ = static_cast<size_t>(info.st_size);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
}

}  // namespace diptych
