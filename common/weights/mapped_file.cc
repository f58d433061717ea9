#include "common/weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/error/error.h"
#include "common/files/file_descriptor.h"
#include "common/source_files/files_read.h"
#include "common/source_files/read_file.h"
#include "common/weights/mapping_fault.h"

namespace diptych {
namespace {

[[noreturn]] void ThrowSystemError(const std::string& path, int error_number) {
  const ErrorCode code = error_number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument;
  throw Error(code, OpenProblem(path, error_number));
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  // Non-blocking: opening a pipe must fail below rather than wait for a writer.
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) ThrowSystemError(path, errno);
  struct stat info;
  if (fstat(file.get(), &info) != 0) ThrowSystemError(path, errno);
  if (!S_ISREG(info.st_mode)) throw Error(ErrorCode::kInvalidArgument, NotAFile(path, info.st_mode));
  facts_ = FactsOf(file.get()).value_or(FileFacts());
  NoteFileRead(path, facts_);
  size_ = static_cast<size_t>(facts_.size);
  descriptor_ = file.get();
  if (size_ > 0) {  // mmap refuses a length of zero
    void* address = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (address == MAP_FAILED) {
      ReadIntoMemory(errno);
    } else {
      data_ = static_cast<const uint8_t*>(address);
      fault_slot_ = WatchMapping(data_, size_, path_.c_str());
    }
  }
  file.Release();
}

// Anonymous memory, so that it goes back to the system at once when it is given up.
void MappedFile::ReadIntoMemory(int why) {
  void* address = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    throw Error(ErrorCode::kResourceExhausted, path_ + ": cannot be mapped (" + std::strerror(why) +
                                                   "), and there is no memory for its " + std::to_string(size_) +
                                                   " bytes");
  }
  if (!ReadNow(0, {static_cast<uint8_t*>(address), size_}) || FactsOf(descriptor_) != facts_) {
    munmap(address, size_);
    throw Error(ErrorCode::kInvalidArgument, path_ + ": cannot be mapped (" + std::strerror(why) +
                                                 ") and cannot be read, or changes while it is read");
  }
  mprotect(address, size_, PROT_READ);
  data_ = static_cast<const uint8_t*>(address);
  copied_because_ = path_ + ": this file system cannot map it (" + std::strerror(why) +
                    "): read into memory instead, " + std::to_string((size_ + (1 << 20) - 1) >> 20) +
                    " MiB that the kernel can neither drop nor share with other programs";
}

bool MappedFile::ReadNow(uint64_t offset, std::span<uint8_t> into) const {
  size_t have = 0;
  while (have < into.size()) {
    const ssize_t got = pread(descriptor_, into.data() + have, into.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
  }
  return true;
}

MappedFile::~MappedFile() {
  if (fault_slot_ >= 0) ForgetMapping(fault_slot_);
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace diptych
