// Ends a call that is under way.
#pragma once

#include <optional>

#include "common/concurrency/cancel_token.h"

namespace grpc {
class ClientContext;
}

namespace diptych {

// Hand it to one call; Stop may be called before, during or after it, from any thread. The call then ends with
// CANCELLED.
class CallStop {
 public:
  void Stop() { stop_.Cancel(); }
  bool stopped() const { return stop_.IsCancelled(); }
  const CancelToken& token() const { return stop_; }

  // Used by the clients: the call that Stop ends, for as long as the guard lives.
  class Guard {
   public:
    Guard(CallStop* stop, grpc::ClientContext& context);  // `stop` may be null

   private:
    std::optional<CancelCallback> stopped_;
  };

 private:
  const CancelToken stop_;
};

}  // namespace diptych
