#include "common/concurrency/alarm.h"

#include <utility>

namespace diptych {

Alarm::Alarm(std::function<void()> ring) : thread_([this, ring = std::move(ring)] { Work(ring); }) {}

Alarm::~Alarm() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Alarm::RingAt(Time when) {
  {
    const std::lock_guard lock(mutex_);
    const bool is_later = when >= at_;
    at_ = when;
    if (is_later) return;  // it wakes in between, and sleeps on
  }
  changed_.notify_one();
}

void Alarm::RingBy(Time when) {
  {
    const std::lock_guard lock(mutex_);
    if (at_ <= when) return;
    at_ = when;
  }
  changed_.notify_one();
}

void Alarm::TurnOff() {
  const std::lock_guard lock(mutex_);
  at_ = kNever;
}

void Alarm::Work(const std::function<void()>& ring) {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const Time at = at_;
    if (at == kNever) {
      changed_.wait(lock);
    } else if (std::chrono::steady_clock::now() < at) {
      changed_.wait_until(lock, at);
    } else {
      at_ = kNever;
      lock.unlock();
      ring();
      lock.lock();
    }
  }
}

}  // namespace diptych
