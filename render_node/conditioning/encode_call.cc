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

constexpr std::chrono::milliseconds kLeastPause{50}, kMostPause{5000};

// Cancels the call when it goes out of scope before Finish, and lets gRPC bring it to an end.
class Call {
 public:
  Call(v1::Encoder::StubInterface* encoder, const v1::EncodeRequest& request)
      : reader_(encoder->Encode(&context_, request)) {}
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

absl::Status TakeProgress(const v1::EncodeProgress& progress, const EncodeCallOptions& options, EncodeClock& clock,
                          Alarm& overdue) {
  constexpr int32_t kMostAhead = 1'000'000;
  const EncodeClock::Time now = std::chrono::steady_clock::now();
  const std::chrono::milliseconds worked(std::clamp<int64_t>(progress.worked_ms(), 0, INT32_MAX));
  if (absl::Status heard = clock.Heard(progress.working(), worked, now); !heard.ok()) return heard;
  overdue.RingAt(clock.Over());
  const int32_t ahead = std::clamp(progress.ahead(), 0, kMostAhead);
  if (options.leaves && options.leaves(progress.working(), clock.waited(now))) {
    return RetryAfterError(absl::StrCat("other prompts come first, about ", ahead), kLeastPause);
  }
  if (options.on_progress) options.on_progress(progress.working() ? std::nullopt : std::optional(ahead));
  return absl::OkStatus();
}

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
  proto.set_tell_progress(true);
  return proto;
}

absl::StatusOr<FetchResult> CallEncode(v1::Encoder::StubInterface* encoder, const v1::EncodeRequest& request,
                                       const EncodeCallOptions& options, const CancelToken& cancel) {
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  const EncodeClock::Time start = std::chrono::steady_clock::now();
  EncodeClock clock(options.terms, start);
  EncodeStream stream({.input = options.input,
                       .layer = request.layer(),
                       .long_prompt_mode = *FromProto(request.long_prompt_mode()),
                       .row_limit = request.row_limit(),
                       .token_limit = request.token_limit(),
                       .width = options.expected_width});
  Call call(encoder, request);
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
    if (refused.ok() && response.has_progress()) refused = TakeProgress(response.progress(), options, clock, overdue);
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
  FetchResult result;
  result.conditioning = *std::move(conditioning);
  const double total_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  result.encode_ms = stream.EncodeMs(total_ms);
  result.transfer_ms = total_ms - result.encode_ms;
  return result;
}

std::optional<EncodeClock::Duration> BusyFor(const absl::Status& status) {
  return RetryAfter(status, kLeastPause, kMostPause);
}

}  // namespace diptych
