// absl::Status <-> grpc::Status. The codes are the same numbers; the message is kept, but for what gRPC itself says of
// a server that it cannot reach or that has no such service.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace diptych {

// What a message of FromGrpcStatus begins with when nobody could be reached; the reason follows: "Connection refused".
inline constexpr absl::string_view kNoConnection = "no connection: ";

grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace diptych
