#include "coordinator/cli/prompt_source.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/error/error.h"
#include "coordinator/files.h"

namespace diptych {
namespace {

constexpr size_t kMaxBytes = size_t{64} << 20;
constexpr int kPollMs = 50;

// A user who types, or a program that takes its time, may be interrupted.
std::string ReadInput(int fd, const Interrupt& interrupt) {
  std::string text;
  char bytes[1 << 16];
  while (true) {
    interrupt.ThrowIfRequested();
    pollfd input{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, kPollMs) <= 0) continue;
    const ssize_t count = read(fd, bytes, sizeof bytes);
    if (count == 0) return text;
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) {
      throw Error(ErrorCode::kUnavailable, absl::StrCat("standard input cannot be read: ", std::strerror(errno)));
    }
    text.append(bytes, static_cast<size_t>(count));
    if (text.size() > kMaxBytes) {
      throw Error(ErrorCode::kInvalidArgument,
                  absl::StrCat("standard input is longer than the limit of ", kMaxBytes, " bytes"));
    }
  }
}

}  // namespace

std::string ReadPrompts(const std::string& file, const Environment& environment) {
  return file == kStandardInput ? ReadInput(environment.in, environment.interrupt) : ReadBoundedFile(file, kMaxBytes);
}

}  // namespace diptych
