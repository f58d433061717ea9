#include "common/net/grpc_status.h"

#include <string>

namespace diptych {
namespace {

// "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.7:7872: Failed to connect to remote host:
// Connection refused" in fewer words.
std::string InFewerWords(const std::string& message) {
  const size_t reason = message.rfind(": ");
  if (message.rfind("failed to connect to all addresses", 0) != 0 || reason == message.npos) return message;
  return std::string(kNoConnection) + message.substr(reason + 2);
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (!status.error_message().empty()) return absl::Status(code, InFewerWords(status.error_message()));
  // gRPC itself answers like this for a service that the server does not have.
  if (code == absl::StatusCode::kUnimplemented) {
    return absl::UnimplementedError(
        "whoever answers there does not offer this service: is it the right kind of daemon?");
  }
  return absl::Status(code, "no reason given (" + absl::StatusCodeToString(code) + ")");
}

}  // namespace diptych
