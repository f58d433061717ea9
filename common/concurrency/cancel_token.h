// Cooperative cancellation: one side asks, the other looks between steps, waits for it, or is called.
#pragma once

#include <functional>
#include <stop_token>
#include <utility>

#include "common/error/error.h"

namespace diptych {

// Copies share one state. Thread-safe. A default-constructed token can be cancelled like any other.
class CancelToken {
 public:
  // The first one calls every CancelCallback, on this thread, before it returns: hold no lock that one of them takes.
  void Cancel() const { std::stop_source(source_).request_stop(); }  // a callback may destroy this token
  bool IsCancelled() const { return source_.stop_requested(); }

  // Throws Error(kCancelled) once somebody has asked for it; call it between units of work.
  void ThrowIfCancelled() const {
    if (IsCancelled()) throw Error(ErrorCode::kCancelled, "cancelled");
  }

  // For std::condition_variable_any, whose waits it ends.
  std::stop_token stop_token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
};

// Calls back once when the token is cancelled, on the thread that cancels; at once, on the thread that constructs it,
// when that has been. The callback must not throw. The destructor waits for a callback that runs on another thread, so
// hold no lock there that the callback takes; after it, and where nobody cancels, the callback does not run.
class CancelCallback {
 public:
  CancelCallback(const CancelToken& cancel, std::function<void()> callback)
      : callback_(cancel.stop_token(), std::move(callback)) {}

 private:
  const std::stop_callback<std::function<void()>> callback_;
};

}  // namespace diptych
