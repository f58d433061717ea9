#include "render_node/jobs/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <system_error>

#include "common/files/transfer.h"

namespace diptych {
namespace {

// No link is followed, and nothing waits for the other end of a pipe.
constexpr int kOrdinary = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

void CheckIsFile(const FileDescriptor& fd, const std::filesystem::path& path) {
  struct stat facts {};
  if (::fstat(fd.get(), &facts) == 0 && S_ISREG(facts.st_mode)) return;
  throw Error(ErrorCode::kDataLoss, path.string() + " is not an ordinary file");
}

// Whole, and with its name, but not synced.
void WriteAndRename(UnfinishedFile& file, const std::filesystem::path& path, const std::vector<ByteSpan>& pieces) {
  for (const ByteSpan piece : pieces) file.Write(piece.data, piece.size);
  file.Rename(path);
}

}  // namespace

void PublishDurably(UnfinishedFile& file, const std::filesystem::path& path) {
  file.Sync();
  file.Rename(path);
  SyncFolder(path.parent_path());
}

FileError SystemCallError(const std::string& what) { return FileError(what, errno); }

void WriteFileDurably(const std::filesystem::path& path, const std::vector<ByteSpan>& pieces) {
  UnfinishedFile file(path);
  for (const ByteSpan piece : pieces) file.Write(piece.data, piece.size);
  PublishDurably(file, path);
}

void WriteUnreadFileDurably(const std::filesystem::path& path, const std::vector<ByteSpan>& pieces) {
  UnfinishedFile file(path);
  WriteAndRename(file, path, pieces);
  try {
    std::future<void> folder = std::async(std::launch::async, [&] { SyncFolder(path.parent_path()); });
    file.Sync();
    folder.get();
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    throw;
  }
}

void ReplaceFile(const std::filesystem::path& path, const std::vector<ByteSpan>& pieces) {
  UnfinishedFile file(path);
  WriteAndRename(file, path, pieces);
}

std::vector<uint8_t> ReadWholeFile(const std::filesystem::path& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | kOrdinary));
  if (fd.get() < 0) throw SystemCallError("cannot open " + path.string());
  CheckIsFile(fd, path);
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0) throw SystemCallError("cannot read " + path.string());
  std::vector<uint8_t> bytes(static_cast<size_t>(facts.st_size));
  const ssize_t got = ReadAll(fd.get(), bytes.data(), bytes.size());
  if (got < 0) throw SystemCallError("cannot read " + path.string());
  if (static_cast<size_t>(got) < bytes.size()) {
    throw Error(ErrorCode::kDataLoss, path.string() + " became shorter while it was read");
  }
  return bytes;
}

FileDescriptor OpenToSync(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | kOrdinary);
  if (fd < 0) throw SystemCallError("cannot open " + path.string());
  return FileDescriptor(fd);
}

void SyncFile(const FileDescriptor& fd, const std::filesystem::path& path) {
  if (::fsync(fd.get()) != 0) throw SystemCallError("cannot sync " + path.string());
}

void MakePrivateFolder(const std::filesystem::path& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0) return;
  if (errno == EEXIST) {
    if (std::filesystem::is_directory(std::filesystem::symlink_status(folder))) return;
    throw Error(ErrorCode::kFailedPrecondition, folder.string() + " is there and is not a folder");
  }
  throw SystemCallError("cannot make folder " + folder.string());
}

void SyncFolder(const std::filesystem::path& folder) {
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) throw SystemCallError("cannot sync folder " + folder.string());
}

std::vector<std::filesystem::path> FilesOlderThan(const std::filesystem::path& folder, std::chrono::minutes age) {
  const auto newest = std::filesystem::file_time_type::clock::now() - age;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (IsUnfinishedName(entry.path().filename().string())) continue;
    std::error_code gone;
    const auto written = entry.last_write_time(gone);
    if (!gone && written < newest) files.push_back(entry.path());
  }
  return files;
}

bool RenewFile(const std::filesystem::path& path) {
  if (::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT) return false;
  throw SystemCallError("cannot renew " + path.string());
}

bool RemoveFileOlderThan(const std::filesystem::path& path, std::chrono::minutes age) {
  std::error_code gone;
  const auto written = std::filesystem::last_write_time(path, gone);
  if (gone || written >= std::filesystem::file_time_type::clock::now() - age) return false;
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw SystemCallError("cannot remove " + path.string());
}

void RemoveUnfinishedFiles(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (IsUnfinishedName(entry.path().filename().string())) {
      std::error_code ignored;  // another attempt comes with the next start
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

int64_t BytesIn(const std::filesystem::path& folder, int64_t block) {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::error_code gone;
    const uintmax_t size = entry.file_size(gone);
    if (!gone) bytes += (static_cast<int64_t>(size) + block - 1) / block * block;
  }
  return bytes;
}

}  // namespace diptych
