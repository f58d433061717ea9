#include "render_node/conditioning/encoder_connection.h"

#include "absl/strings/str_cat.h"
#include "common/net/grpc_status.h"

namespace diptych {

std::optional<EncodeClock::Duration> BusyFor(const absl::Status& status) {
  return RetryAfter(status, kLeastBusy, kMostBusy);
}

absl::Status EncoderConnection::CheckSent(const EncoderIdentity& sent) const {
  const std::string difference = IdentityDifference(sent, identity);
  if (difference.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("it sent rows of another model than it says it has: ", difference));
}

}  // namespace diptych
