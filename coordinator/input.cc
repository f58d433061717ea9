#include "coordinator/input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

#include "common/error/error.h"
#include "common/files/file_descriptor.h"

namespace diptych {
namespace {

constexpr int kPollMs = 50;
constexpr size_t kPieceBytes = size_t{1} << 16;

// The descriptor that /dev/stdin, /dev/fd/63 or /proc/self/fd/63 names.
std::optional<int> NamedDescriptor(std::string_view path) {
  if (path == "/dev/stdin") return STDIN_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (path.substr(0, folder.size()) != folder) continue;
    const std::string_view digits = path.substr(folder.size());
    int fd = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    if (error == std::errc() && end == digits.data() + digits.size() && fd >= 0) return fd;
  }
  return std::nullopt;
}

int Open(const std::filesystem::path& path) {
  // Non-blocking: opening a FIFO must not wait where nobody can end it.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd >= 0 || (errno != ENXIO && errno != EACCES)) return fd;
  // A socket, or the pipe of another user: it cannot be opened by name, but we have it.
  const int reason = errno;
  const std::optional<int> named = NamedDescriptor(path.native());
  const int copy = named ? fcntl(*named, F_DUPFD_CLOEXEC, 0) : -1;
  if (copy < 0) errno = reason;
  return copy;
}

// Its size if it has one, so that a large file is not copied while it grows.
size_t ExpectedBytes(int fd) {
  struct stat info = {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<size_t>(info.st_size) : 0;
}

[[noreturn]] void RefuseLength(const std::string& name, size_t limit) {
  throw Error(ErrorCode::kInvalidArgument, name + " is longer than the limit of " + std::to_string(limit) + " bytes");
}

std::string ReadAll(int fd, const std::string& name, size_t limit, const Pause& pause, const InputHead& head) {
  const size_t expected = ExpectedBytes(fd);
  if (expected > limit) RefuseLength(name, limit);
  bool head_is_due = static_cast<bool>(head.check);
  std::string bytes((head_is_due ? std::min(expected, kPieceBytes) : expected) + 1, '\0');
  for (size_t used = 0;;) {
    if (pause) pause();
    pollfd input{.fd = fd, .events = POLLIN, .revents = 0};
    // A signal cuts the wait short; reading a pipe that nobody has opened yet would then look like its end.
    if (const int ready = poll(&input, 1, kPollMs); ready == 0 || (ready < 0 && errno == EINTR)) continue;
    if (used == bytes.size()) bytes.resize(used < expected ? expected + 1 : used + std::max(kPieceBytes, used));
    const ssize_t count = read(fd, bytes.data() + used, bytes.size() - used);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) throw Error(ErrorCode::kUnavailable, name + " cannot be read: " + std::strerror(errno));
    used += static_cast<size_t>(count);
    if (head_is_due && (used >= head.bytes || count == 0)) {
      head.check(std::string_view(bytes).substr(0, used));
      head_is_due = false;
    }
    if (used > limit) RefuseLength(name, limit);
    if (count > 0) continue;
    bytes.resize(used);
    return bytes;
  }
}

}  // namespace

std::string ReadBoundedFile(const std::filesystem::path& path, size_t limit, const Pause& pause,
                            const InputHead& head) {
  const FileDescriptor file(Open(path));
  if (file.get() < 0) {
    throw Error(ErrorCode::kNotFound, path.string() + (errno == ENOENT || errno == ENOTDIR
                                                           ? std::string(" is not there")
                                                           : std::string(" cannot be read: ") + std::strerror(errno)));
  }
  struct stat info = {};
  if (fstat(file.get(), &info) == 0 && S_ISDIR(info.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, path.string() + " is a folder, not a file");
  }
  if (isatty(file.get()) == 1) {
    throw Error(ErrorCode::kInvalidArgument, path.string() + " is a terminal; give a file or a pipe");
  }
  return ReadAll(file.get(), path.string(), limit, pause, head);
}

std::string ReadInput(const std::string& file, size_t limit, const InputSource& source, const InputHead& head) {
  if (file != kStandardInput) return ReadBoundedFile(file, limit, source.pause, head);
  return ReadAll(source.standard_input, InputName(file), limit, source.pause, head);
}

std::string InputName(const std::string& file) { return file == kStandardInput ? "standard input" : file; }

bool IsOrdinaryFile(const std::string& file) {
  std::error_code ignored;
  return file != kStandardInput && std::filesystem::is_regular_file(file, ignored);
}

}  // namespace diptych
