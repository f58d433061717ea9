// One at a time, in the order of arrival: two encodes at once would share the same cores and both be late.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>

#include "common/concurrency/cancel_token.h"

namespace diptych {

// Thread-safe. Must outlive its turns.
class TurnQueue {
 public:
  // Held while the holder works; its end lets the next one in.
  class Turn {
   public:
    explicit Turn(TurnQueue* queue, uint64_t ticket) : queue_(queue), ticket_(ticket) {}
    ~Turn() { queue_->Leave(ticket_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    TurnQueue* const queue_;
    const uint64_t ticket_;
  };

  // Blocks until it is the caller's turn. Throws Error(kCancelled) within 20 ms of `cancel`, and gives up its place.
  Turn Wait(const CancelToken& cancel);

 private:
  void Leave(uint64_t ticket);

  std::mutex mutex_;
  std::condition_variable moved_;
  uint64_t last_ticket_ = 0;
  std::list<uint64_t> line_;  // the front one works
};

}  // namespace diptych
