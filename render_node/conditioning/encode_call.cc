#include "render_node/conditioning/encode_call.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/digest/sha256.h"
#include "common/net/grpc_status.h"
#include "common/net/poller.h"
#include "common/wire/conditioning_codec.h"
#include "common/wire/enums.h"
#include "common/wire/prompt_codec.h"

namespace diptych {
namespace {

// The encoder's own measure is part of the call: what is not a time, or longer than the call, is not believed. A number
// that is not finite would make the stored job unreadable.
double BelievableMs(double encode_ms, double call_ms) { return encode_ms >= 0 ? std::min(encode_ms, call_ms) : 0; }

absl::Status Broken(const std::string& reason) { return absl::DataLossError(absl::StrCat("encode stream: ", reason)); }

// The messages of one answer: info, then the conditioning stream.
class EncodeStream {
 public:
  EncodeStream(const v1::EncodeRequest& request, int64_t expected_width)
      : request_(request), expected_width_(expected_width) {}

  absl::Status Add(const v1::EncodeResponse& response) {
    if (response.has_info()) {
      if (has_info_) return Broken("a second info message");
      has_info_ = true;
      info_ = response.info();
      return absl::OkStatus();
    }
    if (!has_info_) return Broken("it does not begin with an info message");
    if (!response.has_frame()) return Broken("a message is neither info nor frame");
    absl::Status added = receiver_.Add(response.frame());
    if (absl::IsInvalidArgument(added))
      added = absl::DataLossError(added.message());  // the encoder's fault, not our request's
    if (!added.ok() || !response.frame().has_header()) return added;
    return CheckHeader(response.frame().header());
  }

  absl::StatusOr<Conditioning> Finish() { return receiver_.Finish(); }
  double encode_ms() const { return info_.encode_ms(); }

 private:
  // As soon as the header is here: the rows of a wrong model need not be received.
  absl::Status CheckHeader(const v1::ConditioningHeader& header) const {
    if (expected_width_ != 0 && header.width() != expected_width_) {
      return absl::FailedPreconditionError(absl::StrCat("its hidden states are ", header.width(),
                                                        " wide, this renderer's transformer takes ", expected_width_));
    }
    if (header.layer() != request_.layer()) {
      return absl::FailedPreconditionError(
          absl::StrCat("it sent layer ", header.layer(), ", asked for was ", request_.layer()));
    }
    if (header.long_prompt_mode() != request_.long_prompt_mode()) {
      return absl::FailedPreconditionError(absl::StrCat("it sent ", v1::LongPromptMode_Name(header.long_prompt_mode()),
                                                        ", asked for was ",
                                                        v1::LongPromptMode_Name(request_.long_prompt_mode())));
    }
    if (header.token_count() < header.rows()) {
      return Broken(absl::StrCat("its header has ", header.rows(), " rows of ", header.token_count(), " tokens"));
    }
    if (request_.row_limit() > 0 && header.rows() > request_.row_limit()) {
      return absl::FailedPreconditionError(
          absl::StrCat("it sent ", header.rows(), " rows, asked for were at most ", request_.row_limit()));
    }
    if (header.text_sha256() != Sha256Hex(info_.formatted_text())) {
      return Broken("the formatted text is not the one that the header's hash belongs to");
    }
    return absl::OkStatus();
  }

  const v1::EncodeRequest& request_;
  const int64_t expected_width_;
  bool has_info_ = false;
  v1::EncodeInfo info_;
  ConditioningReceiver receiver_;
};

}  // namespace

v1::EncodeRequest ToProto(const FetchRequest& request) {
  v1::EncodeRequest proto;
  *proto.mutable_prompt() = diptych::ToProto(request.prompt);
  proto.set_layer(request.layer);
  proto.set_long_prompt_mode(diptych::ToProto(request.long_prompt_mode));
  proto.set_row_limit(request.row_limit);
  proto.set_job_id(request.job_id);
  proto.set_token_limit(request.token_limit);
  proto.set_client(request.client);
  return proto;
}

absl::StatusOr<FetchResult> CallEncode(v1::Encoder::StubInterface* encoder, const v1::EncodeRequest& request,
                                       int64_t expected_width, std::chrono::system_clock::time_point deadline,
                                       const CancelToken& cancel) {
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  const auto start = std::chrono::steady_clock::now();
  grpc::ClientContext context;
  context.set_deadline(deadline);
  const auto reader = encoder->Encode(&context, request);
  const Poller cancel_watch([&] {
    if (!cancel.IsCancelled()) return false;
    context.TryCancel();
    return true;
  });

  EncodeStream stream(request, expected_width);
  absl::Status refused;
  v1::EncodeResponse response;
  while (refused.ok() && reader->Read(&response)) refused = stream.Add(response);
  if (!refused.ok()) {
    context.TryCancel();
    while (reader->Read(&response)) {  // what was on its way; Finish wants an empty stream
    }
  }
  const absl::Status ended = FromGrpcStatus(reader->Finish(), context);
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  if (!refused.ok()) return refused;
  if (!ended.ok()) return ended;

  absl::StatusOr<Conditioning> conditioning = stream.Finish();
  if (!conditioning.ok()) return conditioning.status();
  FetchResult result;
  result.conditioning = *std::move(conditioning);
  const double total_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  result.encode_ms = BelievableMs(stream.encode_ms(), total_ms);
  result.transfer_ms = total_ms - result.encode_ms;
  return result;
}

}  // namespace diptych
