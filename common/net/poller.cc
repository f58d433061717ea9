#include "common/net/poller.h"

#include <utility>

namespace diptych {

Poller::Poller(std::function<bool()> poll, std::chrono::milliseconds interval)
    : thread_([this, poll = std::move(poll), interval] {
        std::unique_lock<std::mutex> lock(mutex_);
        while (!ended_) {
          lock.unlock();
          if (poll()) return;
          lock.lock();
          wake_.wait_for(lock, interval, [this] { return ended_; });
        }
      }) {}

Poller::~Poller() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

}  // namespace diptych
