#include "common/weights/mapping_fault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace diptych {
namespace {

// Read by the signal handler: `begin` is written last and cleared first. begin 0: free.
struct Slot {
  std::atomic<bool> taken = false;
  std::atomic<uintptr_t> begin = 0;
  std::atomic<uintptr_t> end = 0;
  std::atomic<const char*> path = nullptr;
};

constexpr int kSlots = 1024;
Slot slots[kSlots];
static_assert(std::atomic<uintptr_t>::is_always_lock_free);
struct sigaction before;

void Say(const char* text) {
  size_t left = strlen(text);
  while (left > 0) {
    const ssize_t written = write(STDERR_FILENO, text, left);
    if (written <= 0) return;
    text += written;
    left -= static_cast<size_t>(written);
  }
}

// Nothing but async-signal-safe calls.
void OnBusError(int number, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address >= slot.end.load(std::memory_order_relaxed)) continue;
    char line[5000] = "";
    for (const char* part :
         {static_cast<const char*>(program_invocation_short_name), ": ", slot.path.load(std::memory_order_relaxed),
          ": the file was cut short, or its disk fails, while it is in use (SIGBUS); put the whole "
          "file there and start again\n"}) {
      strncat(line, part, sizeof line - 1 - strlen(line));
    }
    Say(line);
    _exit(1);
  }
  sigaction(number, &before, nullptr);  // the access is tried again when this returns, and faults there
}

void TakeSignal() {
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &before);
}

}  // namespace

int WatchMapping(const void* begin, size_t size, const char* path) {
  static std::once_flag taken;
  std::call_once(taken, TakeSignal);
  for (int i = 0; i < kSlots; ++i) {
    Slot& slot = slots[i];
    if (slot.taken.exchange(true)) continue;
    slot.path.store(path, std::memory_order_relaxed);
    slot.end.store(reinterpret_cast<uintptr_t>(begin) + size, std::memory_order_relaxed);
    slot.begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
    return i;
  }
  return -1;
}

void ForgetMapping(int slot) {
  slots[slot].begin.store(0, std::memory_order_release);
  slots[slot].taken.store(false, std::memory_order_release);
}

}  // namespace diptych
