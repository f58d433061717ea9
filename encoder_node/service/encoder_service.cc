#include "encoder_node/service/encoder_service.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/net/grpc_status.h"
#include "common/net/peer.h"
#include "common/net/poller.h"
#include "common/status/status.h"
#include "common/wire/conditioning_codec.h"
#include "common/wire/enums.h"
#include "common/wire/machine_codec.h"
#include "encoder_node/service/encode_request.h"
#include "encoder_node/service/state_statistics.h"

namespace diptych {
namespace {

using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

absl::Status SendResult(const ValidEncodeRequest& request, const Conditioning& conditioning, double encode_ms,
                        grpc::ServerWriter<v1::EncodeResponse>* writer) {
  v1::EncodeResponse response;
  response.mutable_info()->set_formatted_text(request.formatted_text);
  response.mutable_info()->set_encode_ms(encode_ms);
  if (!writer->Write(response)) return absl::CancelledError("the client has gone");
  return SendConditioning(conditioning, [&](const v1::ConditioningFrame& frame) {
    *response.mutable_frame() = frame;
    return writer->Write(response);
  });
}

void LogResult(const Logger& log, const Conditioning& conditioning, double waited_ms, double encode_ms) {
  const ConditioningHeader& header = conditioning.header;
  if (header.rows != header.token_count) {
    log.Warn(absl::StrFormat(
        "the prompt has %d tokens, more than the receiver takes: long-prompt mode %s made %d rows of them",
        header.token_count, std::string(LongPromptModeName(header.long_prompt_mode)), header.rows));
  }
  log.Info(absl::StrFormat("encoded %d tokens into %d x %d %s of layer %d in %.1f ms after waiting %.1f ms",
                           header.token_count, header.rows, header.width, std::string(StateDtypeName(header.dtype)),
                           header.layer, encode_ms, waited_ms));
  if (log.Shows(LogLevel::kDebug)) log.Debug(absl::StrCat("hidden states: ", DescribeStates(conditioning)));
}

// For comparing encoders by eye. As good as the prompt itself.
void LogTokens(const Logger& log, const std::vector<int64_t>& ids) {
  constexpr size_t kFirst = 20;
  log.Debug(
      absl::StrCat("first of ", ids.size(), " token ids: ",
                   absl::StrJoin(ids.begin(), ids.begin() + static_cast<int64_t>(std::min(kFirst, ids.size())), " ")));
}

void LogFailure(const Logger& log, const absl::Status& status) {
  const std::string line = absl::StrCat("encode: ", status.ToString());
  if (status.code() == absl::StatusCode::kCancelled) {
    log.Info(line);
  } else if (status.code() == absl::StatusCode::kInternal) {
    log.Error(line);
  } else {
    log.Warn(line);
  }
}

}  // namespace

void EncoderService::SetEncoder(std::shared_ptr<PromptEncoder> encoder) {
  const std::lock_guard<std::mutex> lock(mutex_);
  encoder_ = std::move(encoder);
}

void EncoderService::BeginStop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopping_ = true;
}

absl::StatusOr<std::shared_ptr<PromptEncoder>> EncoderService::Encoder() {
  std::shared_ptr<PromptEncoder> encoder;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return absl::UnavailableError("the encoder is stopping");
    if (encoder_ == nullptr) return StillLoadingError("the text encoder is still being loaded");
    encoder = encoder_;
  }
  encoder->ThrowIfChanged();
  return encoder;
}

grpc::Status EncoderService::Describe(grpc::ServerContext* context, const v1::DescribeEncoderRequest*,
                                      v1::DescribeEncoderResponse* response) {
  try {
    const absl::StatusOr<std::shared_ptr<PromptEncoder>> encoder = Encoder();
    if (!encoder.ok()) return ToGrpcStatus(encoder.status(), context);
    const EncoderFacts& facts = (*encoder)->facts();
    response->set_program_version(options_.program_version);
    response->set_model_fingerprint(facts.model_fingerprint);
    response->set_tokenizer_fingerprint(facts.tokenizer_fingerprint);
    response->set_width(facts.width);
    response->set_layers(facts.layers);
    response->set_dtype(ToProto(facts.dtype));
    response->set_threads(facts.threads);
    response->set_device(facts.device);
    response->set_prompt_byte_limit(options_.prompt_byte_limit);
    *response->mutable_machine() = ToProto(facts.machine, ReadMemoryFacts());
    return grpc::Status::OK;
  } catch (...) {
    return ToGrpcStatus(StatusOfCurrentException());
  }
}

grpc::Status EncoderService::Encode(grpc::ServerContext* context, const v1::EncodeRequest* request,
                                    grpc::ServerWriter<v1::EncodeResponse>* writer) {
  absl::Status status;
  EncodeReport report;
  try {
    const Logger log = request->job_id().empty() ? log_ : log_.ForJob(request->job_id().substr(0, 64));
    try {
      status = EncodeAndSend(context, *request, writer, log, &report);
    } catch (...) {
      status = StatusOfCurrentException();
    }
    if (!status.ok()) LogFailure(log, status);
  } catch (...) {  // not even the log works
    if (status.ok()) status = StatusOfCurrentException();
  }
  report.code = status.code();
  if (options_.ended) options_.ended(report);
  return ToGrpcStatus(status, context);
}

absl::Status EncoderService::EncodeAndSend(grpc::ServerContext* context, const v1::EncodeRequest& request,
                                           grpc::ServerWriter<v1::EncodeResponse>* writer, const Logger& log,
                                           EncodeReport* report) {
  const absl::StatusOr<std::shared_ptr<PromptEncoder>> encoder = Encoder();
  if (!encoder.ok()) return encoder.status();

  const Clock::time_point start = Clock::now();
  const absl::StatusOr<ValidEncodeRequest> valid =
      ValidateEncodeRequest(request, (*encoder)->facts(), options_.prompt_byte_limit);
  if (!valid.ok()) {
    report->refused_bytes = static_cast<int64_t>(request.ByteSizeLong());
    return valid.status();
  }
  const double format_ms = MillisecondsSince(start);
  log.Info(options_.log_prompts ? absl::StrCat("formatted prompt: ", valid->formatted_text)
                                : absl::StrCat("formatted prompt of ", valid->formatted_text.size(), " bytes"));

  const CancelToken cancel;
  const Poller client_watch([&] {
    if (!context->IsCancelled()) return false;
    cancel.Cancel();
    return true;
  });
  Conditioning conditioning;
  {
    TurnQueue::Turn turn = turns_.Wait(valid->client.empty() ? HostOfPeer(context->peer()) : valid->client, cancel);
    const double waited_before_ms = turn.waited_ms();
    report->waited_ms = waited_before_ms;
    cancel.ThrowIfCancelled();
    const Clock::time_point work = Clock::now();
    conditioning = (*encoder)->Encode(valid->formatted_text, valid->parameters, [&] {
      cancel.ThrowIfCancelled();
      turn.LetOthersIn(cancel);
    });
    report->waited_ms = turn.waited_ms();
    report->encode_ms = format_ms + MillisecondsSince(work) - (turn.waited_ms() - waited_before_ms);
  }
  report->tokens = conditioning.header.token_count;
  LogResult(log, conditioning, report->waited_ms, report->encode_ms);
  if (options_.log_prompts && log.Shows(LogLevel::kDebug)) LogTokens(log, (*encoder)->TokenIds(valid->formatted_text));
  return SendResult(*valid, conditioning, report->encode_ms, writer);
}

}  // namespace diptych
