// Does something at a time that may be moved until it comes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace diptych {

// Has one thread, which sleeps until then; while nothing is set it is not woken at all. Thread-safe.
class Alarm {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `ring` is called on the alarm's thread, once for what was set, and may set it anew. It must not throw. Throws
  // std::system_error when there is no thread to be had.
  explicit Alarm(std::function<void()> ring);
  ~Alarm();  // waits for a ring that is under way; never from within one
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void RingAt(Time when);  // instead of what was set
  void RingBy(Time when);  // unless it rings earlier anyway
  void TurnOff();

 private:
  static constexpr Time kNever = Time::max();

  void Work(const std::function<void()>& ring);

  std::mutex mutex_;  // guards all below; not held while it rings
  std::condition_variable changed_;
  Time at_ = kNever;
  bool ending_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace diptych
