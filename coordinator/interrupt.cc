#include "coordinator/interrupt.h"

#include <utility>

#include "common/error/error.h"

namespace diptych {

Interrupt::Reaction::Reaction(Interrupt& interrupt, std::function<void()> action) : interrupt_(interrupt) {
  std::lock_guard lock(interrupt_.mutex_);
  if (interrupt_.requested_) {
    action();
    return;
  }
  key_ = interrupt_.next_key_++;
  interrupt_.actions_.emplace(key_, std::move(action));
}

Interrupt::Reaction::~Reaction() {
  std::lock_guard lock(interrupt_.mutex_);
  interrupt_.actions_.erase(key_);
}

void Interrupt::Request() {
  std::lock_guard lock(mutex_);
  if (requested_.exchange(true)) return;
  for (const auto& [key, action] : actions_) action();
}

void Interrupt::ThrowIfRequested() const {
  if (requested()) throw Error(ErrorCode::kCancelled, "interrupted");
}

}  // namespace diptych
