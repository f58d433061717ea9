#include "coordinator/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "common/error/error.h"
#include "common/files/file_descriptor.h"
#include "common/files/transfer.h"
#include "common/files/unfinished_file.h"
#include "common/image/picture_file.h"

namespace diptych {
namespace {

[[noreturn]] void FailToWrite(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorCode::kUnavailable, "cannot write " + path.string() + ": " + reason);
}

// A folder like /tmp: a link that another user made there is not followed, as Linux itself follows none
// (fs.protected_symlinks): it would lead to a file of ours.
bool IsPlanted(const std::filesystem::path& link) {
  struct stat named {
  }, folder{};
  const std::filesystem::path parent = link.has_parent_path() ? link.parent_path() : ".";
  if (lstat(link.c_str(), &named) != 0 || stat(parent.c_str(), &folder) != 0) return false;
  const bool is_shared = (folder.st_mode & S_ISVTX) != 0 && (folder.st_mode & S_IWOTH) != 0;
  return is_shared && named.st_uid != geteuid() && named.st_uid != folder.st_uid;
}

// Where the bytes go: through symbolic links to what they name, which need not be there yet.
std::filesystem::path TargetOf(std::filesystem::path path) {
  std::error_code error;
  for (int links = 0; links < 40 && std::filesystem::is_symlink(path, error); ++links) {
    if (IsPlanted(path)) FailToWrite(path, "it is a symbolic link that another user put into a folder for all");
    const std::filesystem::path named = std::filesystem::read_symlink(path, error);
    if (error) break;
    path = named.is_absolute() ? named : path.parent_path() / named;
  }
  return path;
}

// Those that are not there yet.
std::error_code MakeFolders(const std::filesystem::path& folder, Readers readers) {
  std::error_code error;
  if (readers == Readers::kAsUmaskSays) {
    std::filesystem::create_directories(folder, error);
    return error;
  }
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return {};
  if (error = MakeFolders(folder.parent_path(), readers); error) return error;
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return {errno, std::generic_category()};
  return std::filesystem::is_directory(folder, error) ? std::error_code()
                                                      : std::make_error_code(std::errc::not_a_directory);
}

unsigned ModeFor(Readers readers) { return readers == Readers::kOwner ? 0600 : 0666; }

// Makes `take` give the name `path` to a file beside it that has the bytes, on disk.
template <typename Take>
auto WriteAside(const std::filesystem::path& path, std::string_view bytes, Readers readers, Take take) {
  try {
    UnfinishedFile file(path, ModeFor(readers));
    file.Write(bytes);
    file.Sync();
    return take(file);
  } catch (const FileError& error) {
    FailToWrite(path, std::strerror(error.error_number));
  }
}

// Opening a pipe that nobody reads would wait for ever, where no interrupt is heard.
FileDescriptor OpenDevice(const std::filesystem::path& path) {
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) FailToWrite(path, errno == ENXIO ? "nobody reads from this pipe" : std::strerror(errno));
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  return fd;
}

void WriteToDevice(const std::filesystem::path& path, std::string_view bytes) {
  FileDescriptor fd = OpenDevice(path);
  int error = WriteAll(fd.get(), bytes.data(), bytes.size());
  if (close(fd.Release()) != 0 && error == 0) error = errno;
  if (error != 0) FailToWrite(path, std::strerror(error));
}

}  // namespace

bool IsDevice(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
         !std::filesystem::is_directory(status);
}

bool WriteNewFileAtomically(const std::filesystem::path& path, std::string_view bytes) {
  return WriteAside(path, bytes, Readers::kAsUmaskSays, [&](UnfinishedFile& file) { return file.RenameToNew(path); });
}

void WriteFileAtomically(const std::filesystem::path& given, std::string_view bytes, Readers readers) {
  if (IsDevice(given)) return WriteToDevice(given, bytes);
  const std::filesystem::path path = TargetOf(given);
  WriteAside(path, bytes, readers, [&](UnfinishedFile& file) { file.Rename(path); });
}

void PrepareToWrite(const std::filesystem::path& given, Readers readers) {
  if (IsDevice(given)) {
    if (access(given.c_str(), W_OK) != 0) FailToWrite(given, std::strerror(errno));
    return;
  }
  const std::filesystem::path path = TargetOf(given);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const std::error_code error = MakeFolders(folder, readers);
  if (error) throw Error(ErrorCode::kUnavailable, "cannot make the folder " + folder.string() + ": " + error.message());
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) FailToWrite(path, "it is a folder");
  struct stat there = {};  // the temporary name is short, the file's own may be too long
  if (lstat(path.c_str(), &there) != 0 && errno == ENAMETOOLONG) FailToWrite(path, std::strerror(errno));
  try {
    UnfinishedFile(path, ModeFor(readers));
  } catch (const FileError& failure) {
    FailToWrite(path, std::strerror(failure.error_number));
  }
}

void PrepareToWritePicture(const std::filesystem::path& given) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(given, ignored)) {
    constexpr size_t kEnough = 16;
    std::ifstream file(given, std::ios::binary);
    std::string begin(kEnough, '\0');
    file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
    begin.resize(static_cast<size_t>(file.gcount()));
    if (!begin.empty() && !SniffPictureFormat(begin)) {
      throw Error(ErrorCode::kInvalidArgument,
                  given.string() +
                      " is there already and is no picture; it is not overwritten, name another (or give "
                      "--overwrite)");
    }
  }
  PrepareToWrite(given);
}

bool IsStandardOutput(const std::filesystem::path& path) {
  struct stat named = {}, ours = {};
  return stat(path.c_str(), &named) == 0 && fstat(STDOUT_FILENO, &ours) == 0 && named.st_dev == ours.st_dev &&
         named.st_ino == ours.st_ino;
}

}  // namespace diptych
