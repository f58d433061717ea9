#include "common/net/grpc_status.h"

#include <algorithm>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/foreign_text/foreign_text.h"
#include "common/net/channel.h"
#include "common/net/host_lookup.h"

namespace diptych {
namespace {

constexpr char kStillLoading[] = "diptych-still-loading";        // in the metadata and as a payload
constexpr char kRetryAfter[] = "retry-after-ms";                 // trailing metadata
constexpr char kRetryAfterPayload[] = "diptych/retry-after-ms";  // the same in a status

constexpr absl::string_view kNoName = "DNS resolution failed for ";  // HOST:PORT and the resolver's words follow
constexpr char kSilence[] = "keepalive watchdog timeout";            // pings unanswered, channel.cc

// "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.7:7872: Failed to connect to remote host:
// Connection refused" in fewer words.
std::string InFewerWords(const std::string& message) {
  if (message == kSilence) return "it has gone silent (" + message + ")";
  if (absl::StartsWith(message, kNoName)) {
    const std::string name = message.substr(kNoName.size(), message.find(": ") - kNoName.size());
    return NoAddressFound(name.substr(0, name.rfind(':')));
  }
  const size_t reason = message.rfind(": ");
  if (message.rfind("failed to connect to all addresses", 0) != 0 || reason == message.npos) return message;
  return std::string(kNoConnection) + message.substr(reason + 2);
}

// What gRPC says here of a message that it did not take: "Received message larger than max (30000000 vs. 4194304)". A
// peer whose own limit is another may send the same words, and means our message.
bool IsBeyondOurLimit(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED &&
         absl::StrContains(status.error_message(), "Received message larger than max (") &&
         absl::EndsWith(status.error_message(), absl::StrCat(" vs. ", kLargestAnswer, ")"));
}

}  // namespace

absl::Status RetryAfterError(absl::string_view message, std::chrono::milliseconds pause) {
  absl::Status status = absl::ResourceExhaustedError(message);
  status.SetPayload(kRetryAfterPayload, absl::Cord(absl::StrCat(pause.count())));
  return status;
}

std::optional<std::chrono::milliseconds> RetryAfter(const absl::Status& status, std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most) {
  const auto text = status.GetPayload(kRetryAfterPayload);
  int64_t ms = 0;
  if (!text || !absl::SimpleAtoi(std::string(*text), &ms)) return std::nullopt;
  return std::clamp(std::chrono::milliseconds(ms), least, most);
}

absl::Status StillLoadingError(absl::string_view message) {
  absl::Status status = absl::UnavailableError(message);
  status.SetPayload(kStillLoading, absl::Cord("1"));
  return status;
}

bool IsStillLoading(const absl::Status& status) { return status.GetPayload(kStillLoading).has_value(); }

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase* context) {
  if (context != nullptr && IsStillLoading(status)) context->AddTrailingMetadata(kStillLoading, "1");
  return ToGrpcStatus(status);
}

absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context) {
  absl::Status result = FromGrpcStatus(status);
  if (absl::IsUnavailable(result) && context.GetServerTrailingMetadata().contains(kStillLoading)) {
    result.SetPayload(kStillLoading, absl::Cord("1"));
  }
  if (absl::IsResourceExhausted(result)) {
    const auto& trailers = context.GetServerTrailingMetadata();
    if (const auto pause = trailers.find(kRetryAfter); pause != trailers.end()) {
      result.SetPayload(kRetryAfterPayload, absl::Cord(absl::string_view(pause->second.data(), pause->second.size())));
    }
  }
  return result;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), CutMessage(std::string(status.message())));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (IsBeyondOurLimit(status)) {
    return absl::DataLossError(
        absl::StrCat("it sent a message of more than ", kLargestAnswer, " bytes, which no answer of ours has"));
  }
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (!status.error_message().empty()) {
    return absl::Status(code, ForeignText(InFewerWords(status.error_message()), kForeignSentenceBytes));
  }
  // gRPC itself answers like this for a service that the server does not have.
  if (code == absl::StatusCode::kUnimplemented) {
    return absl::UnimplementedError(
        "whoever answers there does not offer this service: is it the right kind of daemon?");
  }
  return absl::Status(code, "no reason given (" + absl::StatusCodeToString(code) + ")");
}

}  // namespace diptych
