// A lock that is given in the order in which it was asked for: whoever takes it again and again, for a short while each
// time, leaves everybody else a turn in between. With std::mutex the one that had it may have it again for long.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace diptych {

// For std::lock_guard.
class Turns {
 public:
  void lock() {
    std::unique_lock lock(mutex_);
    const uint64_t own = last_++;
    changed_.wait(lock, [&] { return next_ == own; });
  }
  void unlock() {
    {
      const std::lock_guard lock(mutex_);
      ++next_;
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t last_ = 0;  // number of the next that comes
  uint64_t next_ = 0;  // whose turn it is
};

}  // namespace diptych
