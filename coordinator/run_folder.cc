#include "coordinator/run_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "common/error/error.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "diptych-run-";

// Opens the folder itself: neither a link to one nor anything else. -1: there is none.
int OpenFolder(const fs::path& path, int more_flags) {
  return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | more_flags);
}

// Whether the open folder is still what its path names.
bool IsAt(int folder, const fs::path& path) {
  struct stat opened {
  }, named{};
  return fstat(folder, &opened) == 0 && lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

bool IsMine(int folder) {
  struct stat info {};
  return fstat(folder, &info) == 0 && info.st_uid == geteuid();
}

// remove_all follows no links, neither here nor further down.
void RemoveAll(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

void RemoveIfAbandoned(const fs::path& path) {
  const int folder = OpenFolder(path, O_CLOEXEC);
  if (folder < 0) return;
  // Where locks do not work (some network file systems), nothing is known to be abandoned.
  if (IsMine(folder) && flock(folder, LOCK_EX | LOCK_NB) == 0 && IsAt(folder, path)) RemoveAll(path);
  close(folder);
}

void RemoveAbandoned(const fs::path& parent) {
  std::error_code error;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().rfind(kPrefix, 0) == 0) RemoveIfAbandoned(entry->path());
  }
}

}  // namespace

RunFolder::RunFolder() {
  std::error_code ignored;
  RemoveAbandoned(fs::temp_directory_path(ignored));
  while (!Make()) {
  }
}

RunFolder::~RunFolder() {
  Remove();
  close(lock_);
}

bool RunFolder::Make() {
  std::error_code error;
  std::string name = (fs::temp_directory_path(error) / (std::string(kPrefix) + "XXXXXX")).string();
  if (error || mkdtemp(name.data()) == nullptr) {
    const std::string reason = error ? error.message() : std::strerror(errno);
    const char* given = getenv("TMPDIR");  // which temp_directory_path keeps to itself when it is no folder
    throw Error(ErrorCode::kUnavailable, "cannot make a temporary folder" +
                                             (given != nullptr ? " in TMPDIR=" + std::string(given) : " " + name) +
                                             ": " + reason + "; set TMPDIR to a folder with room");
  }
  path_ = name;
  lock_ = OpenFolder(path_, 0);  // not O_CLOEXEC: the daemons hold the lock too
  if (lock_ < 0 && errno != ENOENT) {
    const int reason = errno;
    Remove();
    throw Error(ErrorCode::kUnavailable, "cannot open the temporary folder " + name + ": " + std::strerror(reason));
  }
  while (lock_ >= 0 && flock(lock_, LOCK_EX) != 0 && errno == EINTR) {  // waits for a run that is removing it
  }
  if (lock_ >= 0 && IsAt(lock_, path_)) return true;
  if (lock_ >= 0) close(lock_);
  return false;
}

void RunFolder::Remove() const { RemoveAll(path_); }

}  // namespace diptych
