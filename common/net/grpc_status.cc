#include "common/net/grpc_status.h"

#include <string>

namespace diptych {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (!status.error_message().empty()) return absl::Status(code, status.error_message());
  // gRPC itself answers like this for a service that the server does not have.
  if (code == absl::StatusCode::kUnimplemented) {
    return absl::UnimplementedError("whoever answers there does not offer this service: is it the right kind of daemon?");
  }
  return absl::Status(code, "no reason given (" + absl::StatusCodeToString(code) + ")");
}

}  // namespace diptych
