#include "coordinator/client/encoder_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/cancellable_sleep.h"
#include "common/error/status.h"
#include "common/net/grpc_status.h"
#include "common/prompt/encode_input.h"
#include "common/wire/encode_stream.h"
#include "common/wire/enums.h"
#include "common/wire/prompt_codec.h"
#include "coordinator/client/connection.h"
#include "coordinator/client/messages.h"
#include "diptych/v1/encoder.grpc.pb.h"

namespace diptych {
namespace {

constexpr char kPeer[] = "the encoder";
constexpr std::chrono::milliseconds kLeastPause{50}, kMostPause{5000};  // before a full one is asked again

// FAILED_PRECONDITION unless the rows are of the model that the encoder said it has.
absl::Status CheckOrigin(const ConditioningHeader& header, const EncoderDescription& encoder) {
  if (header.model_fingerprint == encoder.model_fingerprint &&
      header.tokenizer_fingerprint == encoder.tokenizer_fingerprint && header.dtype == encoder.dtype) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError("it sent rows of another model than it says it has");
}

}  // namespace

struct EncoderClient::Stub {
  explicit Stub(std::shared_ptr<grpc::Channel> channel) : encoder(v1::Encoder::NewStub(std::move(channel))) {}
  const std::unique_ptr<v1::Encoder::Stub> encoder;
};

absl::StatusOr<std::unique_ptr<EncoderClient>> EncoderClient::Make(const std::string& address,
                                                                   const Credentials& credentials,
                                                                   std::chrono::milliseconds timeout) {
  const PeerAddress peer{kPeer, address, credentials};
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Connect(peer);
  if (!channel.ok()) return channel.status();
  return std::unique_ptr<EncoderClient>(new EncoderClient(peer, timeout, std::make_unique<Stub>(*std::move(channel))));
}

EncoderClient::EncoderClient(PeerAddress peer, std::chrono::milliseconds timeout, std::unique_ptr<Stub> stub)
    : peer_(std::move(peer)), timeout_(timeout), stub_(std::move(stub)) {}
EncoderClient::~EncoderClient() = default;

absl::StatusOr<EncoderDescription> EncoderClient::Describe() const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::DescribeEncoderResponse response;
  const grpc::Status status = stub_->encoder->Describe(&context, {}, &response);
  if (!status.ok()) return CallStatus(status, peer_);
  if (absl::Status believable = CheckDescription(response); !believable.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("the encoder at ", peer_.address, ": ", believable.message()));
  }
  return EncoderDescription{.program_version = response.program_version(),
                            .model_fingerprint = response.model_fingerprint(),
                            .tokenizer_fingerprint = response.tokenizer_fingerprint(),
                            .width = response.width(),
                            .layers = response.layers(),
                            .dtype = *FromProto(response.dtype()),
                            .threads = response.threads(),
                            .device = response.device()};
}

absl::StatusOr<EncodeOutcome> EncoderClient::Encode(const EncodeOrder& order, CallStop* stop) const {
  const absl::StatusOr<EncodeInput> input = Guard([&] { return EncodeInputOf(order.prompt); });
  if (!input.ok()) return input.status();
  for (;;) {
    absl::StatusOr<EncodeOutcome> outcome = EncodeOnce(order, *input, stop);
    const auto pause = RetryAfter(outcome.status(), kLeastPause, kMostPause);
    if (!pause) return outcome;
    if (!SleepUnlessCancelled(*pause, stop == nullptr ? CancelToken() : stop->token())) {
      return absl::CancelledError("cancelled");
    }
  }
}

absl::StatusOr<EncodeOutcome> EncoderClient::EncodeOnce(const EncodeOrder& order, const EncodeInput& input,
                                                        CallStop* stop) const {
  grpc::ClientContext context;
  const CallStop::Guard stoppable(stop, context);
  v1::EncodeRequest request;
  *request.mutable_prompt() = ToProto(order.prompt);
  request.set_layer(order.layer);
  request.set_long_prompt_mode(ToProto(order.long_prompt_mode));
  request.set_row_limit(order.row_limit);
  if (order.encoder) request.set_expected_model_fingerprint(order.encoder->model_fingerprint);
  EncodeStream stream({.input = input,
                       .layer = order.layer,
                       .long_prompt_mode = order.long_prompt_mode,
                       .row_limit = order.row_limit,
                       .width = order.encoder ? order.encoder->width : 0});
  const std::unique_ptr<grpc::ClientReader<v1::EncodeResponse>> reader = stub_->encoder->Encode(&context, request);

  const auto begin = std::chrono::steady_clock::now();
  absl::Status broken;
  v1::EncodeResponse response;
  while (broken.ok() && reader->Read(&response)) broken = stream.Add(response);
  if (!broken.ok()) {
    context.TryCancel();
    while (reader->Read(&response)) {  // what was on its way; Finish wants an empty stream
    }
  }
  const grpc::Status status = reader->Finish();
  if (broken.ok() && !status.ok()) return CallStatus(status, context, peer_, stop);
  absl::StatusOr<Conditioning> conditioning;
  if (broken.ok()) {
    conditioning = stream.Finish();
    broken = conditioning.status();
  }
  if (broken.ok() && order.encoder) broken = CheckOrigin(conditioning->header, *order.encoder);
  if (!broken.ok())
    return absl::Status(broken.code(), absl::StrCat("the encoder at ", peer_.address, ": ", broken.message()));
  const double call_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return EncodeOutcome{*std::move(conditioning), input.text, stream.EncodeMs(call_ms)};
}

}  // namespace diptych
