#include "render_node/jobs/state_folder.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "render_node/jobs/job_id.h"

namespace diptych {
namespace fs = std::filesystem;
namespace {

void MakeParents(const fs::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), error);
  if (error) {
    throw Error(ErrorCode::kUnavailable,
                "cannot make folder " + folder.parent_path().string() + ": " + error.message());
  }
}

// The state folder itself may be a link to one.
void MakeFolder(const fs::path& root) {
  std::error_code error;
  if (!fs::is_directory(root, error)) MakePrivateFolder(root);
}

constexpr char kStopMark[] = "asked-to-stop";
constexpr char kName[] = "name";
constexpr int64_t kLittleBytes = 64 << 20;  // some dozen pictures with the store's own files

std::string NameOf(uid_t user) {
  const passwd* entry = ::getpwuid(user);
  return entry != nullptr ? entry->pw_name : "number " + std::to_string(user);
}

// SystemCallError, with whose folder it is when it is somebody else's; reads errno.
Error CannotUse(const fs::path& root, const std::string& what) {
  const bool is_denied = errno == EACCES || errno == EPERM;
  const Error error = SystemCallError(what);
  struct stat facts {};
  if (!is_denied || ::stat(root.c_str(), &facts) != 0 || facts.st_uid == ::geteuid()) return error;
  return Error(error.code(), std::string(error.what()) + "; the state folder belongs to user " + NameOf(facts.st_uid) +
                                 ", and this daemon runs as user " + NameOf(::geteuid()));
}

// Reads errno.
Error NotLocal(const fs::path& root, const std::string& what) {
  return Error(ErrorCode::kFailedPrecondition, "state folder " + root.string() + ": " + what + " (" +
                                                   std::strerror(errno) +
                                                   "); the job store needs a folder on a local disk");
}

// SQLite's write-ahead log has an index that processes share through a mapping.
void CheckSharedMappings(const fs::path& root, const FileDescriptor& file) {
  constexpr size_t kPage = 4096;
  void* page = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (page == MAP_FAILED) throw NotLocal(root, "its file system has no shared mappings");
  ::munmap(page, kPage);
}

// What SQLite has trouble with, by the numbers of statfs(2); nullptr: nothing known.
const char* FarFileSystem(const fs::path& root) {
  struct statfs facts {};
  if (::statfs(root.c_str(), &facts) != 0) return nullptr;
  switch (static_cast<uint32_t>(facts.f_type)) {
    case 0x6969:
      return "NFS";
    case 0x517B:
    case 0xFF534D42:
    case 0xFE534D42:
      return "SMB";
    case 0x01021997:
      return "9P";
    case 0x65735546:
      return "FUSE";
    case 0x00C36400:
      return "Ceph";
    case 0x0BD00BD0:
      return "Lustre";
    case 0x47504653:
      return "GPFS";
    case 0x5346414F:
      return "AFS";
    default:
      return nullptr;
  }
}

bool IsPartOfState(const fs::path& name) {
  const std::string text = name.string();
  return text.rfind("jobs.sqlite", 0) == 0 || text == "lock" || text == kStopMark || text == kName ||
         text == "pictures" || text == "inputs" || text == "conditioning" || text == "conditioning-store" || text == "checkpoints";
}

[[noreturn]] void Refuse(const std::string& what) { throw Error(ErrorCode::kFailedPrecondition, what); }

// The state folder is read, written and emptied by name: nobody else may put names into it. Throws
// Error(kFailedPrecondition) saying how to mend it.
void CheckIsOurs(const fs::path& root) {
  struct stat named {
  }, facts{};
  if (::lstat(root.c_str(), &named) != 0 || ::stat(root.c_str(), &facts) != 0) {
    throw CannotUse(root, "cannot look at " + root.string());
  }
  const uid_t self = ::geteuid();
  if (S_ISLNK(named.st_mode) && named.st_uid != self && named.st_uid != 0) {
    Refuse("state folder " + root.string() + " is a symbolic link of user " + NameOf(named.st_uid) +
           ", who may let it lead anywhere; name the folder itself");
  }
  if (facts.st_uid != self) {
    Refuse("state folder " + root.string() + " belongs to user " + NameOf(facts.st_uid) +
           ", who could change what is in it, and this daemon runs as user " + NameOf(self) +
           "; run it as that user, or give the folder to this one (chown -R " + NameOf(self) + " " + root.string() +
           ")");
  }
  if ((facts.st_mode & S_ISVTX) != 0 && (facts.st_mode & S_IWOTH) != 0) {
    Refuse("state folder " + root.string() +
           " is one that all users put files into; choose a folder in it, which will be this user's alone");
  }
}

bool IsOpenedWithDatabase(const std::string& name) {
  return name == "jobs.sqlite" || name == "jobs.sqlite-wal" || name == "jobs.sqlite-shm" ||
         name == "jobs.sqlite-journal";
}

// What lies there under a name of ours was made by nobody else, and is what it must be: not a link to elsewhere, not a
// pipe that never ends.
void CheckPart(const fs::path& path) {
  struct stat facts {};
  const std::string name = path.string(), base = path.filename().string();
  const bool is_of_database = base.rfind("jobs.sqlite", 0) == 0;
  if (is_of_database && !IsOpenedWithDatabase(base)) return;  // a copy that somebody made
  if (::lstat(path.c_str(), &facts) != 0) return;
  const char* mend = "; see what it is, and move it away";
  if (S_ISLNK(facts.st_mode)) Refuse(name + " is a symbolic link; the state folder's own files are no links" + mend);
  const bool should_be_file = base == "lock" || base == kStopMark || base == kName || is_of_database;
  if (should_be_file ? !S_ISREG(facts.st_mode) : !S_ISDIR(facts.st_mode)) {
    Refuse(name + " is there and is not a " + (should_be_file ? "file" : "folder") + mend);
  }
  if (facts.st_uid != ::geteuid()) {
    Refuse(name + " belongs to user " + NameOf(facts.st_uid) + ", and this daemon runs as user " + NameOf(::geteuid()) +
           mend + ", or give it to this user (chown)");
  }
  if (should_be_file && facts.st_nlink > 1) {
    Refuse(name + " has a second name elsewhere (a hard link), and what is written to it is written there" + mend);
  }
}

// Throws Error(kFailedPrecondition) for the first that is not ours.
void CheckParts(const fs::path& root) {
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    if (IsPartOfState(entry.path().filename())) CheckPart(entry.path());
  }
}

// Takes others the right to read what earlier versions, or whoever made or copied the folder, left to the umask.
class Closing {
 public:
  // The folder itself: from here on nobody else puts anything into it.
  explicit Closing(const fs::path& root) : root_(root) {
    struct stat facts {};
    if (::stat(root.c_str(), &facts) == 0) Close(root, facts.st_mode);
  }

  // What is ours in it.
  void CloseParts() {
    std::error_code error;
    for (fs::directory_iterator entry(root_, error), end; !error && entry != end; entry.increment(error)) {
      if (IsPartOfState(entry->path().filename())) CloseAll(entry->path());
    }
  }

  // One line; empty: nothing was open.
  std::string Report() const {
    if (!failure_.empty()) {
      return "other users can read the prompts and pictures in state folder " + root_.string() + ": " + failure_;
    }
    if (closed_ == 0) return "";
    return "state folder " + root_.string() + ": " + std::to_string(closed_) +
           " of its files and folders were open to other users and are their owner's alone now";
  }

 private:
  void CloseAll(const fs::path& path) {
    struct stat facts {};
    if (::lstat(path.c_str(), &facts) != 0) return;
    if (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode)) Close(path, facts.st_mode);
    if (!S_ISDIR(facts.st_mode)) return;
    std::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
      CloseAll(entry->path());
    }
  }
  void Close(const fs::path& path, mode_t mode) {
    if ((mode & 077) == 0) return;
    if (::chmod(path.c_str(), mode & 0700) == 0) {
      ++closed_;
    } else if (failure_.empty()) {
      failure_ = "cannot change the mode of " + path.string() + ": " + std::strerror(errno);
    }
  }

  const fs::path root_;
  int64_t closed_ = 0;
  std::string failure_;
};

// Who holds the lock, as the holder wrote it; empty when unreadable.
std::string Holder(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof(text), 0);
  return size > 0 ? " (process " + std::string(text, static_cast<size_t>(size)) + ")" : "";
}

std::unique_ptr<FileDescriptor> Lock(const fs::path& root) {
  const std::string path = (root / "lock").string();
  auto fd = std::make_unique<FileDescriptor>(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd->get() < 0) throw CannotUse(root, "cannot open " + path);
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw NotLocal(root, "files cannot be locked there");
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
fs::path Normal(const fs::path& root) {
  const fs::path whole = fs::absolute(root).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

}  // namespace

StateFolder::StateFolder(const fs::path& root) : root_(Normal(root)) {
  MakeParents(root_);
  MakeFolder(root_);
  CheckIsOurs(root_);
  Closing closing(root_);
  CheckParts(root_);
  lock_ = Lock(root_);
  closing.CloseParts();
  CheckSharedMappings(root_, *lock_);
  if (const char* system = FarFileSystem(root_)) {
    warnings_.push_back("state folder " + root_.string() + " lies on " + system +
                        ": the job store wants a local disk, elsewhere it may be slow or damaged");
  }
  if (std::string closed = closing.Report(); !closed.empty()) warnings_.push_back(std::move(closed));
  for (const fs::path& part : {pictures(), conditioning(), inputs(), checkpoints()}) {
    MakePrivateFolder(part);
    RemoveUnfinishedFiles(part);
  }
  SyncFolder(root_);
  SyncFolder(root_.parent_path());
}

std::string StateFolder::Name(const std::function<uint64_t()>& random, int64_t now_unix_ms) const {
  const fs::path file = root_ / kName;
  if (fs::exists(file)) {
    const std::vector<uint8_t> bytes = ReadWholeFile(file);
    if (std::string name(bytes.begin(), bytes.end()); IsJobId(name)) return name;
  }
  const std::string name = JobIdGenerator(random).Next(now_unix_ms);
  WriteFileDurably(file, {{name.data(), name.size()}});
  return name;
}

void StateFolder::LeaveStopMark() const {
  const FileDescriptor mark(::open((root_ / kStopMark).c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
}

bool StateFolder::TakeStopMark() const {
  std::error_code ignored;
  return fs::remove(root_ / kStopMark, ignored);
}

void StateFolder::CheckRoom(int64_t min_free_bytes) const {
  struct statvfs disk {};
  if (min_free_bytes <= 0 || ::statvfs(root_.c_str(), &disk) != 0) return;
  constexpr int64_t kPart = 20;
  const int64_t block = static_cast<int64_t>(disk.f_frsize);
  const int64_t kept = std::min(min_free_bytes, static_cast<int64_t>(disk.f_blocks) * block / kPart);
  const int64_t free = static_cast<int64_t>(disk.f_bavail) * block;
  if (free >= kept) return;
  throw Error(ErrorCode::kResourceExhausted,
              "the renderer's disk is nearly full: " + std::to_string(free / 1'000'000) + " MB are free, and " +
                  std::to_string(kept / 1'000'000) +
                  " MB are kept for the jobs that were accepted (render.min_free_mb); no new job is taken");
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
