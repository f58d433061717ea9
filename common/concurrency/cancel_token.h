// Cooperative cancellation: one side asks, the other looks between steps.
#pragma once

#include <atomic>
#include <memory>

#include "common/error/error.h"

namespace diptych {

// Copies share one flag. Thread-safe. A default-constructed token can be cancelled like any other.
class CancelToken {
 public:
  CancelToken() : cancelled_(std::make_shared<std::atomic<bool>>(false)) {}

  void Cancel() const { cancelled_->store(true, std::memory_order_relaxed); }
  bool IsCancelled() const { return cancelled_->load(std::memory_order_relaxed); }

  // Throws Error(kCancelled) once somebody has asked for it; call it between units of work.
  void ThrowIfCancelled() const {
    if (IsCancelled()) throw Error(ErrorCode::kCancelled, "cancelled");
  }

 private:
  std::shared_ptr<std::atomic<bool>> cancelled_;
};

}  // namespace diptych
