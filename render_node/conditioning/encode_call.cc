#include "render_node/conditioning/encode_call.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/alarm.h"
#include "common/net/grpc_status.h"
#include "common/wire/encode_stream.h"
#include "common/wire/enums.h"
#include "common/wire/prompt_codec.h"

namespace diptych {
namespace {

// Cancels the call when it goes out of scope before Finish, and lets gRPC bring it to an end.
class Call {
 public:
  Call(v1::Encoder::StubInterface& encoder, const v1::EncodeRequest& request)
      : reader_(encoder.Encode(&context_, request)) {}
  ~Call() {
    if (!finished_) GiveUp();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::ClientContext& context() { return context_; }
  bool Read(v1::EncodeResponse* response) { return reader_->Read(response); }
  absl::Status Finish() {
    finished_ = true;
    return FromGrpcStatus(reader_->Finish(), context_);
  }
  void GiveUp() {
    context_.TryCancel();
    v1::EncodeResponse response;
    while (reader_->Read(&response)) {  // what was on its way; Finish wants an empty stream
    }
    Finish().IgnoreError();
  }

 private:
  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReaderInterface<v1::EncodeResponse>> reader_;
  bool finished_ = false;
};

absl::Status TakeProgress(const v1::EncodeProgress& progress, const EncoderConnection& encoder, EncodeClock& clock,
                          Alarm& overdue) {
  constexpr int32_t kMostAhead = 1'000'000;
  const EncodeClock::Time now = std::chrono::steady_clock::now();
  const std::chrono::milliseconds worked(std::clamp<int64_t>(progress.worked_ms(), 0, INT32_MAX));
  if (absl::Status heard = clock.Heard(progress.working(), worked, now); !heard.ok()) return heard;
  overdue.RingAt(clock.Over());
  const int32_t ahead = std::clamp(progress.ahead(), 0, kMostAhead);
  if (encoder.leaves(progress.working(), clock.waited(now))) {
    return RetryAfterError(absl::StrCat("other prompts come first, about ", ahead), kLeastBusy);
  }
  encoder.on_progress(progress.working() ? std::nullopt : std::optional(ahead));
  return absl::OkStatus();
}

v1::EncodeRequest RequestOf(const FetchRequest& request, const EncoderIdentity& identity) {
  v1::EncodeRequest proto;
  *proto.mutable_prompt() = ToProto(request.prompt);
  proto.set_layer(request.layer);
  proto.set_long_prompt_mode(ToProto(request.long_prompt_mode));
  proto.set_row_limit(request.row_limit);
  proto.set_expected_model_fingerprint(identity.model_fingerprint);
  proto.set_job_id(request.job_id);
  proto.set_token_limit(request.token_limit);
  proto.set_client(request.client);
  proto.set_tell_progress(true);
  return proto;
}

}  // namespace

absl::StatusOr<FetchResult> CallEncode(const EncoderConnection& encoder, const FetchRequest& request,
                                       const EncodeInput& input, int64_t expected_width, const CancelToken& cancel) {
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  const EncodeClock::Time start = std::chrono::steady_clock::now();
  EncodeClock clock(encoder.terms, start);
  EncodeStream stream({.input = input,
                       .layer = request.layer,
                       .long_prompt_mode = request.long_prompt_mode,
                       .row_limit = request.row_limit,
                       .token_limit = request.token_limit,
                       .width = expected_width});
  Call call(encoder.stub, RequestOf(request, encoder.identity));
  Alarm overdue([&] {
    if (clock.Check(std::chrono::steady_clock::now()).ok()) return;  // something was heard at this moment
    call.context().TryCancel();
  });
  overdue.RingAt(clock.Over());
  const CancelCallback cancelled(cancel, [&] { call.context().TryCancel(); });

  absl::Status refused;
  v1::EncodeResponse response;
  while (refused.ok() && call.Read(&response)) {
    refused = stream.Add(response);
    if (refused.ok() && response.has_progress()) refused = TakeProgress(response.progress(), encoder, clock, overdue);
  }
  absl::Status ended;
  if (refused.ok()) {
    ended = call.Finish();
  } else {
    call.GiveUp();
  }
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  if (!refused.ok()) return refused;
  if (!ended.ok()) {
    const absl::Status why = clock.Check(std::chrono::steady_clock::now());
    return absl::IsCancelled(ended) && !why.ok() ? why : ended;
  }

  absl::StatusOr<Conditioning> conditioning = stream.Finish();
  if (!conditioning.ok()) return conditioning.status();
  if (absl::Status sent = encoder.CheckSent(IdentityOf(conditioning->header)); !sent.ok()) return sent;
  FetchResult result;
  result.conditioning = *std::move(conditioning);
  const double total_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  result.encode_ms = stream.EncodeMs(total_ms);
  result.transfer_ms = total_ms - result.encode_ms;
  return result;
}

}  // namespace diptych
