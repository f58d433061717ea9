// SIGINT and SIGTERM as an orderly request instead of sudden death.
#pragma once

#include <signal.h>

#include <functional>
#include <thread>

namespace diptych {

// While it lives, the first signal calls `on_first` on a thread of this class; the second calls `on_second` (if any)
// and ends the process with the shell's status (128 + number). Handlers rather than a blocked mask: libraries start
// threads before main (OpenBLAS does), and a signal that only we block would kill the process through one of those. A
// signal that the parent had ignored stays so. One at a time in a process.
class ShutdownSignal {
 public:
  explicit ShutdownSignal(std::function<void()> on_first, std::function<void()> on_second = nullptr);
  ~ShutdownSignal();  // puts the former handlers back
  ShutdownSignal(const ShutdownSignal&) = delete;
  ShutdownSignal& operator=(const ShutdownSignal&) = delete;

 private:
  void Watch();

  const std::function<void()> on_first_;
  const std::function<void()> on_second_;
  int read_end_ = -1;  // of a pipe: the number of each signal, 0 for the destructor
  int write_end_ = -1;
  struct sigaction former_interrupt_ = {};
  struct sigaction former_terminate_ = {};
  std::thread watcher_;
};

}  // namespace diptych
