// Ends a call that is under way.
#pragma once

#include <mutex>

namespace grpc {
class ClientContext;
}

namespace diptych {

// Hand it to one call; Stop may be called before, during or after it, from any thread. The call then ends with
// CANCELLED.
class CallStop {
 public:
  void Stop();
  bool stopped() const;

  // Used by the clients: the call that Stop ends, for as long as the guard lives.
  class Guard {
   public:
    Guard(CallStop* stop, grpc::ClientContext& context);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    CallStop* stop_;  // may be null
  };

 private:
  mutable std::mutex mutex_;
  bool stopped_ = false;
  grpc::ClientContext* context_ = nullptr;
};

}  // namespace diptych
