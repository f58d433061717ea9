#include "coordinator/client/call_stop.h"

#include <grpcpp/client_context.h>

namespace diptych {

CallStop::Guard::Guard(CallStop* stop, grpc::ClientContext& context) {
  if (stop != nullptr) stopped_.emplace(stop->token(), [&context] { context.TryCancel(); });
}

}  // namespace diptych
