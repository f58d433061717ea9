// Looks at something again and again while a blocking call is under way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace diptych {

// Calls `poll` on its own thread, at once and then every `interval`, until it returns true or this object is destroyed.
// gRPC's blocking calls cannot wait for a CancelToken, nor our work for a lost client; 20 ms of delay is what we pay.
class Poller {
 public:
  explicit Poller(std::function<bool()> poll, std::chrono::milliseconds interval = std::chrono::milliseconds(20));
  ~Poller();  // returns when `poll` runs no more
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace diptych
