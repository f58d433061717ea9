#include "common/net/call_pool.h"

#include <utility>

namespace diptych {

CallPool::CallPool(size_t threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

CallPool::~CallPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CallPool::Run(const std::string& peer, std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    Line& line = lines_[peer];
    if (line.empty()) turns_.push_back(peer);
    line.push_back(std::move(work));
  }
  changed_.notify_one();
}

void CallPool::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !turns_.empty() || ending_; });
    if (turns_.empty()) return;
    const auto line = lines_.find(turns_.front());
    const std::function<void()> work = std::move(line->second.front());
    line->second.pop_front();
    if (line->second.empty()) {
      lines_.erase(line);
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace diptych
