#include "coordinator/client/connection.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/net/address.h"
#include "common/net/grpc_status.h"

namespace diptych {
namespace {

std::string WithAdvice(absl::string_view message) {
  if (!absl::ConsumePrefix(&message, kNoConnection)) return std::string(message);
  if (absl::StrContains(message, "Socket closed") || absl::StrContains(message, "Connection reset")) {
    return absl::StrCat(message,
                        "; something listens there and closed the connection: it may have as many connections "
                        "as it takes (its log says so), or be no daemon of ours");
  }
  return absl::StrCat(message, "; start the daemon there, or correct the address (diptych doctor checks both)");
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address, bool insecure,
                                                       std::string_view what) {
  const absl::StatusOr<Address> parsed = ParseAddress(address);
  if (!parsed.ok()) return parsed.status();
  const absl::Status allowed =
      CheckPlaintextAllowed(*parsed, insecure, absl::StrCat("connecting to ", std::string(what)));
  if (!allowed.ok()) return allowed;
  return MakeChannel(*parsed);
}

namespace {

absl::Status WithAddress(const absl::Status& result, std::string_view what, const std::string& address,
                         const CallStop* stop) {
  const std::string peer = absl::StrCat(std::string(what), " at ", address);
  if (result.code() == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(absl::StrCat(peer, " is not available: ", WithAdvice(result.message())));
  }
  if (result.code() == absl::StatusCode::kCancelled && (stop == nullptr || !stop->stopped())) {
    return absl::UnavailableError(absl::StrCat(peer, " is stopping"));
  }
  if (result.code() == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError(absl::StrCat(peer, " did not answer in time"));
  }
  if (result.code() == absl::StatusCode::kUnimplemented) {
    return absl::UnimplementedError(absl::StrCat(peer, ": ", result.message()));
  }
  if (result.code() == absl::StatusCode::kDataLoss) {
    return absl::DataLossError(absl::StrCat(peer, ": ", result.message()));
  }
  return result;
}

}  // namespace

absl::Status CallStatus(const grpc::Status& status, std::string_view what, const std::string& address,
                        const CallStop* stop) {
  return WithAddress(FromGrpcStatus(status), what, address, stop);
}

absl::Status CallStatus(const grpc::Status& status, const grpc::ClientContext& context, std::string_view what,
                        const std::string& address, const CallStop* stop) {
  return WithAddress(FromGrpcStatus(status, context), what, address, stop);
}

}  // namespace diptych
