#include "coordinator/client/connection.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/net/address.h"
#include "common/net/grpc_status.h"
#include "common/net/tls_advice.h"
#include "common/net/tls_files.h"

namespace diptych {
namespace {

std::string WithAdvice(absl::string_view message, const PeerAddress& peer) {
  const std::string tls = TlsAdvice(std::string(message), peer.address, peer.credentials);
  if (!tls.empty()) return tls;
  if (!absl::ConsumePrefix(&message, kNoConnection)) return std::string(message);
  if (absl::StrContains(message, "Socket closed") || absl::StrContains(message, "Connection reset")) {
    return absl::StrCat(message,
                        "; something listens there and closed the connection: it may have as many connections "
                        "as it takes (its log says so), or be no daemon of ours");
  }
  return absl::StrCat(message, "; start the daemon there, or correct the address (diptych doctor checks both)");
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const PeerAddress& peer) {
  const absl::StatusOr<Address> parsed = ParseAddress(peer.address);
  if (!parsed.ok()) return parsed.status();
  const absl::Status allowed = CheckAllowed(*parsed, peer.credentials, absl::StrCat("connecting to ", peer.what));
  if (!allowed.ok()) return allowed;
  if (peer.credentials.has_tls()) {
    if (absl::Status s = ReadTlsFiles(peer.credentials, TlsEnd::kClient).status(); !s.ok()) return s;
  }
  return MakeChannel(*parsed, peer.credentials);
}

namespace {

absl::Status WithAddress(const absl::Status& result, const PeerAddress& peer_address, const CallStop* stop) {
  const std::string peer = absl::StrCat(peer_address.what, " at ", peer_address.address);
  if (result.code() == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(
        absl::StrCat(peer, " is not available: ", WithAdvice(result.message(), peer_address)));
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

absl::Status CallStatus(const grpc::Status& status, const PeerAddress& peer, const CallStop* stop) {
  return WithAddress(FromGrpcStatus(status), peer, stop);
}

absl::Status CallStatus(const grpc::Status& status, const grpc::ClientContext& context, const PeerAddress& peer,
                        const CallStop* stop) {
  return WithAddress(FromGrpcStatus(status, context), peer, stop);
}

}  // namespace diptych
