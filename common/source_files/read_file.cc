#include "common/source_files/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/error/error.h"
#include "common/files/file_descriptor.h"
#include "common/files/transfer.h"
#include "common/source_files/file_facts.h"
#include "common/source_files/files_read.h"

namespace diptych {

namespace fs = std::filesystem;

bool IsAbsent(const std::string& path) {
  struct stat facts;
  if (lstat(path.c_str(), &facts) == 0 || errno != ENOENT) return false;
  const fs::path folder = fs::path(path).parent_path();
  if (folder.empty() || stat(folder.c_str(), &facts) == 0) return true;
  return lstat(folder.c_str(), &facts) != 0;  // else the folder is a link to nowhere
}

std::string NotAFile(const std::string& path, uint32_t mode) {
  if (S_ISDIR(mode)) return path + ": a folder, expected a file";
  const char* what = S_ISFIFO(mode) ? "a FIFO" : S_ISSOCK(mode) ? "a socket" : "a device";
  return path + ": " + what + ", expected an ordinary file";
}

std::string OpenProblem(const std::string& path, int error_number) {
  std::error_code ignored;
  if (error_number == ENOENT && fs::is_symlink(path, ignored)) {
    return path + ": a link to " + fs::read_symlink(path, ignored).string() +
           ", which is not there; copy what links point to, too (cp -rL, rsync -L)";
  }
  return path + ": " + std::strerror(error_number);
}

std::string ReadWholeFile(const std::string& path, int64_t most) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) throw Error(ErrorCode::kNotFound, OpenProblem(path, errno));
  struct stat info;
  if (fstat(file.get(), &info) != 0) throw Error(ErrorCode::kNotFound, OpenProblem(path, errno));
  if (!S_ISREG(info.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, NotAFile(path, info.st_mode));
  }
  if (info.st_size > most) {
    throw Error(ErrorCode::kInvalidArgument,
                path + ": has " + std::to_string(info.st_size) + " bytes, expected a text file of at most " +
                    (most >> 20 > 0 ? std::to_string(most >> 20) + " MiB" : std::to_string(most) + " bytes"));
  }
  const std::optional<FileFacts> before = FactsOf(file.get());
  std::string text(static_cast<size_t>(info.st_size), '\0');
  const ssize_t have = ReadAll(file.get(), text.data(), text.size());
  if (have < 0) throw Error(ErrorCode::kInvalidArgument, path + ": " + std::strerror(errno));
  if (static_cast<size_t>(have) != text.size() || FactsOf(file.get()) != before) {
    throw Error(ErrorCode::kUnavailable, path + ": changes while it is read; start again when it is whole");
  }
  if (before) NoteFileRead(path, *before);
  return text;
}

}  // namespace diptych
