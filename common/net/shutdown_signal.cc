#include "common/net/shutdown_signal.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

// All that a handler can reach: where to write the number of its signal.
std::atomic<int> handler_target = -1;
static_assert(std::atomic<int>::is_always_lock_free);

// Two signals within this are one: timeout(1) and some service managers send theirs to the process and to its group.
constexpr std::chrono::milliseconds kOneSignal{100};

// As it goes through the pipe, whole or not at all.
struct Heard {
  int number = 0;  // 0: watch no more
  std::chrono::steady_clock::time_point at;
};

bool Write(int fd, int number) {
  const Heard heard{number, std::chrono::steady_clock::now()};  // clock_gettime, which a handler may call
  return write(fd, &heard, sizeof(heard)) == sizeof(heard);
}

void Handle(int number) {
  const int saved = errno;
  (void)Write(handler_target.load(), number);  // fails only when hundreds wait already
  errno = saved;
}

void Install(int number, struct sigaction* former) {
  sigaction(number, nullptr, former);
  if (former->sa_handler == SIG_IGN) return;
  struct sigaction ours = {};
  ours.sa_handler = Handle;
  ours.sa_flags = SA_RESTART;
  sigaction(number, &ours, nullptr);
}

}  // namespace

ShutdownSignal::ShutdownSignal(std::function<void()> on_first, std::function<void()> on_second)
    : on_first_(std::move(on_first)), on_second_(std::move(on_second)) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error(ErrorCode::kInternal, "no file descriptor left for signals");
  read_end_ = ends[0];
  write_end_ = ends[1];
  fcntl(write_end_, F_SETFL, O_NONBLOCK);  // a handler must not wait
  handler_target = write_end_;
  watcher_ = std::thread([this] { Watch(); });
  Install(SIGINT, &former_interrupt_);
  Install(SIGTERM, &former_terminate_);
}

ShutdownSignal::~ShutdownSignal() {
  sigaction(SIGINT, &former_interrupt_, nullptr);
  sigaction(SIGTERM, &former_terminate_, nullptr);
  handler_target = -1;
  if (!Write(write_end_, 0)) std::abort();  // the watcher keeps the pipe empty
  watcher_.join();
  close(read_end_);
  close(write_end_);
}

void ShutdownSignal::Watch() {
  std::optional<Heard> first;
  for (;;) {
    Heard heard;
    const ssize_t count = read(read_end_, &heard, sizeof(heard));
    if (count < 0 && errno == EINTR) continue;
    if (count != sizeof(heard) || heard.number == 0) return;
    if (!first) {
      first = heard;
      on_first_();
    } else if (heard.at - first->at > kOneSignal) {
      if (on_second_) on_second_();
      _exit(128 + heard.number);
    }
  }
}

}  // namespace diptych
