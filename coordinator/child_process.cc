#include "coordinator/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "common/error/error.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kMaxLine = 4096;
constexpr milliseconds kKillPatience(1000);  // the kernel may have much memory to give back
// After a start that failed: a daemon that stops waits for idle connections, and ours to it is still open then.
constexpr milliseconds kDestructorGrace(500);

[[noreturn]] void FailToStart(const std::string& program, int error) {
  throw Error(ErrorCode::kUnavailable, "cannot start " + program + ": " + std::strerror(error));
}

// Runs in the child between fork and exec: only calls that are safe there. Returns (with errno set) when exec fails.
void BecomeProgram(char* const* arguments, int output, int log, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);  // the parent ended before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = open("/dev/null", O_RDONLY);
  if (dup2(nothing, 0) < 0 || dup2(output, 1) < 0 || dup2(log, 2) < 0) return;
  execv(arguments[0], arguments);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const std::filesystem::path& log_file)
    : log_file_(log_file) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);

  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (log < 0) FailToStart(arguments[0], errno);
  int output[2], failure[2];  // the second pipe closes on exec, or carries errno
  if (pipe2(output, O_CLOEXEC) != 0) {
    const int error = errno;
    close(log);
    FailToStart(arguments[0], error);
  }
  if (pipe2(failure, O_CLOEXEC) != 0) {
    const int error = errno;
    for (const int fd : {log, output[0], output[1]}) close(fd);
    FailToStart(arguments[0], error);
  }

  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    BecomeProgram(pointers.data(), output[1], log, parent);
    const int error = errno;
    const ssize_t written = write(failure[1], &error, sizeof error);
    _exit(written == sizeof error ? 127 : 126);
  }
  const int fork_error = errno;
  for (const int fd : {log, output[1], failure[1]}) close(fd);
  int error = fork_error;
  if (pid_ > 0 && read(failure[0], &error, sizeof error) != sizeof error) error = 0;
  close(failure[0]);
  if (error != 0 || pid_ < 0) {
    close(output[0]);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    FailToStart(arguments[0], error);
  }
  output_ = output[0];
}

ChildProcess::~ChildProcess() {
  Stop(kDestructorGrace);
  close(output_);
}

std::optional<std::string> ChildProcess::ReadLine(milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  while (true) {
    if (const size_t end = pending_.find('\n'); end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    if (pending_.size() > kMaxLine) throw Error(ErrorCode::kUnavailable, "the daemon's first line has no end");
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    pollfd waiting{output_, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(std::max<int64_t>(0, left.count()))) <= 0) return std::nullopt;
    char bytes[1024];
    const ssize_t count = read(output_, bytes, sizeof bytes);
    if (count <= 0) return std::nullopt;
    pending_.append(bytes, static_cast<size_t>(count));
  }
}

bool ChildProcess::WaitForEnd(milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return true;
      int status = 0;
      const pid_t result = waitpid(pid_, &status, WNOHANG);
      if (result == pid_ && WIFSIGNALED(status)) ending_signal_ = WTERMSIG(status);
      if (result == pid_ && WIFEXITED(status)) exit_status_ = WEXITSTATUS(status);
      ended_ = result == pid_ || (result < 0 && errno == ECHILD);
      if (ended_ || steady_clock::now() >= deadline) return ended_;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
}

bool ChildProcess::Signal(int number) {
  const std::lock_guard lock(mutex_);
  return !ended_ && kill(pid_, number) == 0;
}

bool ChildProcess::IsRunning() { return !WaitForEnd(milliseconds(0)); }

void ChildProcess::Stop(milliseconds grace) {
  if (!IsRunning()) return;
  Signal(SIGTERM);
  if (!WaitForEnd(grace)) Kill();
}

void ChildProcess::Kill() {
  if (Signal(SIGKILL)) WaitForEnd(kKillPatience);
}

std::string ChildProcess::LastLogLine() const {
  std::ifstream log(log_file_);
  std::string line, last;
  while (std::getline(log, line)) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line.substr(0, kMaxLine);
  }
  return last;
}

}  // namespace diptych
