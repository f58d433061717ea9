#include "coordinator/client/connection.h"

#include "absl/strings/str_cat.h"
#include "common/net/address.h"
#include "common/net/grpc_status.h"

namespace diptych {

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& address, bool insecure,
                                                       std::string_view what) {
  const absl::StatusOr<Address> parsed = ParseAddress(address);
  if (!parsed.ok()) return parsed.status();
  const absl::Status allowed =
      CheckPlaintextAllowed(*parsed, insecure, absl::StrCat("connecting to ", std::string(what)));
  if (!allowed.ok()) return allowed;
  return MakeChannel(*parsed);
}

absl::Status CallStatus(const grpc::Status& status, std::string_view what, const std::string& address) {
  const absl::Status result = FromGrpcStatus(status);
  const std::string peer = absl::StrCat(std::string(what), " at ", address);
  if (result.code() == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(absl::StrCat(peer, " is not available: ", result.message()));
  }
  if (result.code() == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError(absl::StrCat(peer, " did not answer in time"));
  }
  return result;
}

}  // namespace diptych
