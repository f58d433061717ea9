// A daemon of ours as a child of this process.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace diptych {

// Its standard output comes through a pipe, its standard error goes to a file. It lives in a process group of its own,
// so that Ctrl-C on the terminal reaches only us, and it is killed by the kernel when the thread that started it ends.
// Not thread-safe, but for Kill.
class ChildProcess {
 public:
  // Runs `arguments[0]` (a path). Throws Error(kUnavailable) when it cannot be started.
  ChildProcess(const std::vector<std::string>& arguments, const std::filesystem::path& log_file);
  ~ChildProcess();  // Stop with a short grace
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of standard output, waiting at most `patience`; nullopt when none came, or none can come any more.
  std::optional<std::string> ReadLine(std::chrono::milliseconds patience);

  bool IsRunning();

  // Asks it to end (SIGTERM), waits at most `grace`, then kills it. Does nothing when it has ended.
  void Stop(std::chrono::milliseconds grace);

  // Ends it at once, from any thread, and waits until it is gone, 1 s at most.
  void Kill();

  // The signal that ended it, 0 when none did or it runs.
  int ending_signal() const { return ending_signal_; }
  // Its exit status, 0 when a signal ended it or it runs.
  int exit_status() const { return exit_status_; }

  // The last line of standard error that is not empty, at most 4096 bytes; empty when there is none.
  std::string LastLogLine() const;

  const std::filesystem::path& log_file() const { return log_file_; }
  pid_t pid() const { return pid_; }

 private:
  bool WaitForEnd(std::chrono::milliseconds patience);
  bool Signal(int number);  // false when it has ended

  std::filesystem::path log_file_;
  pid_t pid_ = -1;
  int output_ = -1;  // read end of its standard output
  std::string pending_;
  std::mutex mutex_;  // between the last look at the process and a signal to it, so that none goes to another
  bool ended_ = false;
  std::atomic<int> ending_signal_ = 0, exit_status_ = 0;
};

}  // namespace diptych
