#include "render_node/conditioning/encoder_pool.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/channel.h"
#include "common/net/grpc_status.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/conditioning/encode_call.h"

namespace diptych {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct EncoderPool::Encoder {
  explicit Encoder(const Address& where)
      : address(where.ToString()), channel(MakeChannel(where)), stub(v1::Encoder::NewStub(channel)) {}

  // After a failed call: whether somebody was there to refuse it.
  bool IsConnected() const { return channel->GetState(false) == GRPC_CHANNEL_READY; }

  const std::string address;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Encoder::StubInterface> stub;
};

namespace {

// Our codes are fewer than gRPC's.
ErrorCode ToErrorCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ErrorCode::kInvalidArgument;
    case absl::StatusCode::kNotFound:
      return ErrorCode::kNotFound;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:  // something else listens there
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ErrorCode::kFailedPrecondition;
    case absl::StatusCode::kResourceExhausted:
      return ErrorCode::kResourceExhausted;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorCode::kUnavailable;
    case absl::StatusCode::kDataLoss:
      return ErrorCode::kDataLoss;
    case absl::StatusCode::kCancelled:
      return ErrorCode::kCancelled;
    default:
      return ErrorCode::kInternal;
  }
}

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  return text;
}

std::string Reason(const std::string& address, const absl::Status& status) {
  return absl::StrCat("encoder ", address, ": ", OneLine(std::string(status.message())));
}

// Sleeps, but no longer than until `cancel`.
void Pause(milliseconds duration, const CancelToken& cancel) {
  for (const Clock::time_point end = Clock::now() + duration; Clock::now() < end;) {
    cancel.ThrowIfCancelled();
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace

EncoderPool::EncoderPool(EncoderPoolOptions options) : options_(std::move(options)) {
  if (options_.encoders.empty()) throw Error(ErrorCode::kInvalidArgument, "no encoder is configured");
  for (const Address& address : options_.encoders) encoders_.push_back(std::make_unique<Encoder>(address));
}

EncoderPool::~EncoderPool() = default;

FetchResult EncoderPool::Fetch(const FetchRequest& request, const CancelToken& cancel,
                               const std::function<void(const std::string& reason)>& on_waiting) {
  v1::EncodeRequest proto = ToProto(request);
  proto.set_expected_model_fingerprint(options_.expected_model_fingerprint);
  const std::chrono::system_clock::time_point deadline = std::chrono::system_clock::now() + options_.call_timeout;
  std::optional<Clock::time_point> unreachable_since;  // no answer of any kind, from any encoder
  std::string told;
  for (;;) {
    std::string reasons;
    bool answered = false;
    for (const std::unique_ptr<Encoder>& encoder : encoders_) {
      absl::StatusOr<FetchResult> result =
          CallEncode(encoder->stub.get(), proto, options_.expected_width, deadline, cancel);
      if (result.ok()) return *std::move(result);
      cancel.ThrowIfCancelled();
      absl::Status failure = result.status();
      // Not ours, so it was cancelled over there: that daemon is stopping.
      if (absl::IsCancelled(failure)) failure = absl::UnavailableError("it stopped during the call");
      if (absl::IsDeadlineExceeded(failure)) {
        failure = absl::DeadlineExceededError(
            absl::StrCat("no result within ", static_cast<double>(options_.call_timeout.count()) / 1000, " s"));
      }
      if (!absl::IsUnavailable(failure)) {
        throw Error(ToErrorCode(failure.code()), Reason(encoder->address, failure));
      }
      answered = answered || encoder->IsConnected();
      absl::StrAppend(&reasons, reasons.empty() ? "" : "; ", Reason(encoder->address, failure));
    }
    const Clock::time_point now = Clock::now();
    unreachable_since = answered ? std::nullopt : std::optional(unreachable_since.value_or(now));
    const bool gave_up = unreachable_since && now - *unreachable_since >= options_.unreachable_patience;
    if (gave_up || std::chrono::system_clock::now() >= deadline) {
      throw Error(ErrorCode::kUnavailable, reasons);
    }
    if (on_waiting && reasons != told) on_waiting(reasons);
    told = reasons;
    Pause(milliseconds(250), cancel);
  }
}

std::vector<EncoderPool::Report> EncoderPool::Describe() const {
  const auto describe = [](const Encoder* encoder) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    v1::DescribeEncoderResponse response;
    const absl::Status status = FromGrpcStatus(encoder->stub->Describe(&context, {}, &response));
    Report report;
    report.address = encoder->address;
    report.reachable = status.ok();
    if (!status.ok()) report.error = OneLine(std::string(status.message()));
    report.model_fingerprint = response.model_fingerprint();
    report.width = response.width();
    return report;
  };
  std::vector<std::future<Report>> answers;
  for (const std::unique_ptr<Encoder>& encoder : encoders_) {
    answers.push_back(std::async(std::launch::async, describe, encoder.get()));
  }
  std::vector<Report> reports;
  for (std::future<Report>& answer : answers) reports.push_back(answer.get());
  return reports;
}

}  // namespace diptych
