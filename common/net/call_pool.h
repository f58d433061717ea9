// The threads that answer calls: so many, however many calls there are.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace diptych {

// Peers take turns: one that asks for much waits for itself. Thread-safe.
class CallPool {
 public:
  explicit CallPool(size_t threads = 32);
  ~CallPool();  // what is in line is done first
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;

  // `work` is done on one of the threads, after what this peer asked for before has begun. It must not throw.
  void Run(const std::string& peer, std::function<void()> work);

 private:
  using Line = std::deque<std::function<void()>>;

  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<std::string, Line> lines_;  // none is empty
  std::list<std::string> turns_;                 // those who have a line
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace diptych
