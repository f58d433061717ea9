// Ctrl-C as a value that commands can look at and react to.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

namespace diptych {

// Set once, by the user. Thread-safe.
class Interrupt {
 public:
  // While it lives, its action runs once when the interrupt comes, on the thread that requests it; at once when it has
  // come already. The destructor waits for an action that is running.
  class Reaction {
   public:
    Reaction(Interrupt& interrupt, std::function<void()> action);
    ~Reaction();
    Reaction(const Reaction&) = delete;
    Reaction& operator=(const Reaction&) = delete;

   private:
    Interrupt& interrupt_;
    uint64_t key_ = 0;  // 0: has run already
  };

  bool requested() const { return requested_.load(); }
  void Request();  // the first call runs the reactions; later calls do nothing

  // Throws Error(kCancelled) once requested.
  void ThrowIfRequested() const;

 private:
  std::atomic<bool> requested_ = false;
  std::mutex mutex_;  // held while reactions run
  uint64_t next_key_ = 1;
  std::map<uint64_t, std::function<void()>> actions_;
};

}  // namespace diptych
