#include "encoder_node/service/turn_queue.h"

#include <chrono>

namespace diptych {

TurnQueue::Turn TurnQueue::Wait(const CancelToken& cancel) {
  std::unique_lock<std::mutex> lock(mutex_);
  const uint64_t ticket = ++last_ticket_;
  line_.push_back(ticket);
  while (line_.front() != ticket) {
    if (cancel.IsCancelled()) {
      line_.remove(ticket);
      cancel.ThrowIfCancelled();
    }
    moved_.wait_for(lock, std::chrono::milliseconds(20));
  }
  return Turn(this, ticket);
}

void TurnQueue::Leave(uint64_t ticket) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    line_.remove(ticket);
  }
  moved_.notify_all();
}

}  // namespace diptych
