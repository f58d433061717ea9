// That something changed in a job store: for those who would else look again and again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace diptych {

// Shared by all who have one database open in this process. Thread-safe.
class JobChanges {
 public:
  // `id` names the job that came, moved on, ended or was forgotten; empty: the queue was paused or resumed, or any job
  // may have changed. The change can be read by then. Called too often rather than too seldom, on the thread that made
  // the change or heard of it: it must neither wait nor listen nor stop to.
  using Listener = std::function<void(const std::string& id)>;

  // Listens for as long as it lives, which must not be longer than the JobChanges.
  class Listening {
   public:
    ~Listening() {
      const std::lock_guard lock(changes_.mutex_);
      changes_.listeners_.erase(number_);
    }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

   private:
    friend class JobChanges;
    Listening(JobChanges& changes, int64_t number) : changes_(changes), number_(number) {}
    JobChanges& changes_;
    const int64_t number_;
  };

  [[nodiscard]] std::unique_ptr<Listening> Listen(Listener listener) {
    const std::lock_guard lock(mutex_);
    listeners_.emplace(++last_, std::move(listener));
    return std::unique_ptr<Listening>(new Listening(*this, last_));
  }

  // For stores, without a lock of theirs.
  void Tell(const std::string& id) {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, listener] : listeners_) listener(id);
  }

 private:
  std::mutex mutex_;
  std::map<int64_t, Listener> listeners_;
  int64_t last_ = 0;
};

}  // namespace diptych
