#include "coordinator/client/encoder_client.h"

#include <utility>

#include "common/wire/conditioning_codec.h"
#include "common/wire/enums.h"
#include "common/wire/prompt_codec.h"
#include "coordinator/client/connection.h"
#include "coordinator/client/messages.h"
#include "diptych/v1/encoder.grpc.pb.h"

namespace diptych {
namespace {

constexpr std::string_view kPeer = "the encoder";

}  // namespace

struct EncoderClient::Stub {
  explicit Stub(std::shared_ptr<grpc::Channel> channel) : encoder(v1::Encoder::NewStub(std::move(channel))) {}
  const std::unique_ptr<v1::Encoder::Stub> encoder;
};

absl::StatusOr<std::unique_ptr<EncoderClient>> EncoderClient::Make(const std::string& address, bool insecure,
                                                                   std::chrono::milliseconds timeout) {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Connect(address, insecure, kPeer);
  if (!channel.ok()) return channel.status();
  return std::unique_ptr<EncoderClient>(
      new EncoderClient(address, timeout, std::make_unique<Stub>(*std::move(channel))));
}

EncoderClient::EncoderClient(std::string address, std::chrono::milliseconds timeout, std::unique_ptr<Stub> stub)
    : address_(std::move(address)), timeout_(timeout), stub_(std::move(stub)) {}
EncoderClient::~EncoderClient() = default;

absl::StatusOr<EncoderDescription> EncoderClient::Describe() const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::DescribeEncoderResponse response;
  const grpc::Status status = stub_->encoder->Describe(&context, {}, &response);
  if (!status.ok()) return CallStatus(status, kPeer, address_);
  const absl::StatusOr<StateDtype> dtype = FromProto(response.dtype());
  if (!dtype.ok()) return dtype.status();
  return EncoderDescription{.program_version = response.program_version(),
                            .model_fingerprint = response.model_fingerprint(),
                            .tokenizer_fingerprint = response.tokenizer_fingerprint(),
                            .width = response.width(),
                            .layers = response.layers(),
                            .dtype = *dtype,
                            .threads = response.threads(),
                            .device = response.device()};
}

absl::StatusOr<EncodeOutcome> EncoderClient::Encode(const EncodeOrder& order, CallStop* stop) const {
  grpc::ClientContext context;
  const CallStop::Guard stoppable(stop, context);
  v1::EncodeRequest request;
  *request.mutable_prompt() = ToProto(order.prompt);
  request.set_layer(order.layer);
  request.set_long_prompt_mode(ToProto(order.long_prompt_mode));
  request.set_row_limit(order.row_limit);
  const std::unique_ptr<grpc::ClientReader<v1::EncodeResponse>> reader = stub_->encoder->Encode(&context, request);

  EncodeOutcome outcome;
  ConditioningReceiver receiver;
  absl::Status broken;
  for (v1::EncodeResponse response; broken.ok() && reader->Read(&response);) {
    if (response.has_info()) {
      outcome.formatted_text = response.info().formatted_text();
      outcome.encode_ms = response.info().encode_ms();
    } else if (response.has_frame()) {
      broken = receiver.Add(response.frame());
    }
  }
  if (!broken.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!broken.ok()) return broken;
  if (!status.ok()) return CallStatus(status, kPeer, address_, stop);
  absl::StatusOr<Conditioning> conditioning = receiver.Finish();
  if (!conditioning.ok()) return conditioning.status();
  outcome.conditioning = *std::move(conditioning);
  return outcome;
}

}  // namespace diptych
