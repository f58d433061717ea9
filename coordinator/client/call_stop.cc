#include "coordinator/client/call_stop.h"

#include <grpcpp/client_context.h>

namespace diptych {

void CallStop::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  if (context_ != nullptr) context_->TryCancel();
}

bool CallStop::stopped() const {
  std::lock_guard lock(mutex_);
  return stopped_;
}

CallStop::Guard::Guard(CallStop* stop, grpc::ClientContext& context) : stop_(stop) {
  if (stop_ == nullptr) return;
  std::lock_guard lock(stop_->mutex_);
  stop_->context_ = &context;
  if (stop_->stopped_) context.TryCancel();
}

CallStop::Guard::~Guard() {
  if (stop_ == nullptr) return;
  std::lock_guard lock(stop_->mutex_);
  stop_->context_ = nullptr;
}

}  // namespace diptych
