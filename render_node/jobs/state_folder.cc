#include "render_node/jobs/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

namespace diptych {
namespace {

void MakePrivateFolder(const std::filesystem::path& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0) return;
  if (errno == EEXIST) {
    if (std::filesystem::is_directory(folder)) return;
    throw Error(ErrorCode::kFailedPrecondition, folder.string() + " is there and is not a folder");
  }
  throw SystemCallError("cannot make folder " + folder.string());
}

void MakeParents(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
  if (error) {
    throw Error(ErrorCode::kUnavailable,
                "cannot make folder " + folder.parent_path().string() + ": " + error.message());
  }
}

constexpr char kStopMark[] = "asked-to-stop";
constexpr int64_t kLittleBytes = 64 << 20;  // some dozen pictures with the store's own files

// Who holds the lock, as the holder wrote it; empty when unreadable.
std::string Holder(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof(text), 0);
  return size > 0 ? " (process " + std::string(text, static_cast<size_t>(size)) + ")" : "";
}

std::unique_ptr<FileDescriptor> Lock(const std::filesystem::path& root) {
  const std::string path = (root / "lock").string();
  auto fd = std::make_unique<FileDescriptor>(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd->get() < 0) throw SystemCallError("cannot open " + path);
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw SystemCallError("cannot lock " + path);
    throw Error(ErrorCode::kFailedPrecondition, "state folder " + root.string() +
                                                    " is in use by another render daemon" + Holder(fd->get()) +
                                                    "; stop it or choose another folder");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd->get(), 0) != 0 || ::pwrite(fd->get(), pid.data(), pid.size(), 0) < 0) {
    throw SystemCallError("cannot write " + path);
  }
  return fd;
}

// "a/b/" and "a/b" are one folder; relative paths stay usable when the daemon changes its working folder.
std::filesystem::path Normal(const std::filesystem::path& root) {
  const std::filesystem::path whole = std::filesystem::absolute(root).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

StateFolder::StateFolder(const std::filesystem::path& root) : root_(Normal(root)) {
  MakeParents(root_);
  MakePrivateFolder(root_);
  lock_ = Lock(root_);
  for (const std::filesystem::path& part : {pictures(), conditioning(), checkpoints()}) {
    MakePrivateFolder(part);
    RemoveUnfinishedFiles(part);
  }
  SyncFolder(root_);
  SyncFolder(root_.parent_path());
}

void StateFolder::LeaveStopMark() const { std::ofstream(root_ / kStopMark).flush(); }

bool StateFolder::TakeStopMark() const {
  std::error_code ignored;
  return std::filesystem::remove(root_ / kStopMark, ignored);
}

StateFolder::Health StateFolder::health() const {
  Health health;
  struct statvfs disk {};
  if (::statvfs(root_.c_str(), &disk) != 0 || ::access(root_.c_str(), W_OK | X_OK) != 0) {
    health.problem = root_.string() + " cannot be written: " + std::strerror(errno);
    return health;
  }
  health.free_bytes = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  if (health.free_bytes < kLittleBytes) {
    health.problem =
        "only " + std::to_string(health.free_bytes >> 20) + " MiB are free on the disk of " + root_.string();
  }
  return health;
}

}  // namespace diptych
