#include "coordinator/interrupt.h"

#include <utility>

#include "common/error/error.h"

namespace diptych {

Interrupt::Reaction::Reaction(Round& round, std::function<void()> action) : round_(round) {
  const std::lock_guard lock(round_.mutex);
  if (round_.requested.IsCancelled()) {
    action();
    return;
  }
  key_ = round_.next_key++;
  round_.actions.emplace(key_, std::move(action));
}

Interrupt::Reaction::~Reaction() {
  const std::lock_guard lock(round_.mutex);
  round_.actions.erase(key_);
}

void Interrupt::Round::Run() {
  const std::lock_guard lock(mutex);
  if (requested.IsCancelled()) return;
  requested.Cancel();
  for (auto action = actions.rbegin(); action != actions.rend(); ++action) action->second();
}

void Interrupt::ThrowIfRequested() const {
  if (requested()) throw Error(ErrorCode::kCancelled, "interrupted");
}

}  // namespace diptych
