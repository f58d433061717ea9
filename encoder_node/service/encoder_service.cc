#include "encoder_node/service/encoder_service.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/error/status.h"
#include "common/net/grpc_status.h"
#include "common/net/peer.h"
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
                        EncodeReply& reply) {
  v1::EncodeResponse response;
  response.mutable_info()->set_formatted_text(request.input.text);
  response.mutable_info()->set_encode_ms(encode_ms);
  if (!reply.Write(response)) return absl::CancelledError("the client has gone");
  return SendConditioning(conditioning, [&](const v1::ConditioningFrame& frame) {
    *response.mutable_frame() = frame;
    return reply.Write(response);
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
    response->set_tells_progress(true);
    *response->mutable_machine() = ToProto(facts.machine, ReadMemoryFacts());
    return grpc::Status::OK;
  } catch (...) {
    return ToGrpcStatus(StatusOfCurrentException());
  }
}

// One call of Encode, with its place in the line.
struct EncoderService::Call {
  grpc::CallbackServerContext* context;
  const v1::EncodeRequest& request;
  EncodeReply* reply;
  std::string peer;
  std::shared_ptr<PromptEncoder> encoder;
  std::optional<TurnQueue::Turn> turn;
};

// Counts an answer that is on its way.
class EncoderService::Sending {
 public:
  Sending(EncoderService& service, const std::string& peer) : service_(service), peer_(peer) {
    const std::lock_guard lock(service_.mutex_);
    ++service_.sending_[peer_];
    ++service_.sending_in_all_;
  }
  ~Sending() {
    const std::lock_guard lock(service_.mutex_);
    if (--service_.sending_[peer_] == 0) service_.sending_.erase(peer_);
    --service_.sending_in_all_;
  }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

 private:
  EncoderService& service_;
  const std::string peer_;
};

namespace {

// What somebody gets who cannot be served now; he asks again by himself.
absl::Status AskAgain(grpc::CallbackServerContext* context, absl::string_view why) {
  context->AddTrailingMetadata("retry-after-ms", std::to_string(TurnQueue::LineIsFull::kRetryAfter.count()));
  return absl::ResourceExhaustedError(why);
}

// Tells the client about once a second whether its prompt waits or is worked on.
class Progress {
 public:
  Progress(EncodeReply& reply, bool wanted) : reply_(reply), wanted_(wanted), next_(Clock::now() + TurnQueue::kTell) {}

  TurnQueue::Turn::Tell waits() {
    if (!wanted_) return {};
    return [this](int32_t ahead) {
      waiting_ = true;
      progress_.set_working(false);
      progress_.set_ahead(ahead);
      reply_.Tell(progress_);
    };
  }
  void Works(double worked_ms) {
    progress_.set_worked_ms(static_cast<int64_t>(worked_ms));
    const Clock::time_point now = Clock::now();
    if (!wanted_ || (!waiting_ && now < next_)) return;
    waiting_ = false;
    next_ = now + TurnQueue::kTell;
    progress_.set_working(true);
    progress_.clear_ahead();
    reply_.Tell(progress_);
  }

 private:
  EncodeReply& reply_;
  const bool wanted_;
  bool waiting_ = false;
  Clock::time_point next_;
  v1::EncodeProgress progress_;
};

constexpr size_t kMostSending = 64, kMostSendingOfOne = 16;  // answers that clients are slow to read

}  // namespace

EncoderService::~EncoderService() {
  std::unique_lock lock(mutex_);
  worker_ended_.wait(lock, [this] { return workers_ == 0; });
}

grpc::ServerWriteReactor<v1::EncodeResponse>* EncoderService::Encode(grpc::CallbackServerContext* context,
                                                                     const v1::EncodeRequest* request) {
  auto* const reply = new EncodeReply(context);
  auto call = std::make_unique<Call>(Call{context, *request, reply, context->peer(), nullptr, std::nullopt});
  absl::Status status;
  try {
    absl::StatusOr<std::shared_ptr<PromptEncoder>> encoder = Encoder();
    status = encoder.status();
    if (status.ok()) {
      {
        const std::lock_guard lock(mutex_);
        const auto own = sending_.find(call->peer);
        const size_t sending = own == sending_.end() ? 0 : own->second;
        if (sending >= kMostSendingOfOne || (sending > 0 && sending_in_all_ >= kMostSending)) {
          throw TurnQueue::LineIsFull(ErrorCode::kResourceExhausted,
                                      "answers of the encoder wait to be read; ask again when they are");
        }
      }
      call->encoder = *std::move(encoder);
      call->turn.emplace(turns_.Enter({.host = NetworkOfHost(HostOfPeer(call->peer)),
                                       .connection = call->peer,
                                       .name = request->client().substr(0, kLongestClientName),
                                       .bytes = request->ByteSizeLong()}));
      {
        const std::lock_guard lock(mutex_);
        ++workers_;
      }
      try {
        std::thread([this, owned = call.get()] {
          const std::unique_ptr<Call> own(owned);
          Work(*own);
        }).detach();
        call.release();  // the thread's
        return reply;
      } catch (...) {
        const std::lock_guard lock(mutex_);
        --workers_;
        throw;
      }
    }
  } catch (const TurnQueue::LineIsFull& full) {
    status = AskAgain(context, full.what());
    LogFullLine(call->peer, status);
  } catch (const std::system_error& error) {  // no thread
    status = AskAgain(context, absl::StrCat("the encoder is short of threads: ", error.what()));
    LogFullLine(call->peer, status);
  } catch (...) {
    status = StatusOfCurrentException();
  }
  if (options_.ended) options_.ended({.code = status.code()});
  call.reset();  // with its place
  reply->End(ToGrpcStatus(status, context));
  return reply;
}

// At most one line in ten seconds.
void EncoderService::LogFullLine(const std::string& peer, const absl::Status& status) {
  int64_t refused = 0;
  {
    const std::lock_guard lock(mutex_);
    ++refused_;
    const Clock::time_point now = Clock::now();
    if (now - refusal_logged_ < std::chrono::seconds(10)) return;
    refusal_logged_ = now;
    refused = std::exchange(refused_, 0);
  }
  log_.Warn(absl::StrCat("asked to come again: ", refused, refused == 1 ? " prompt" : " prompts", ", the last of ",
                         HostOfPeer(peer), ": ", status.message()));
}

void EncoderService::Work(Call& call) {
  absl::Status status;
  EncodeReport report;
  try {
    const std::string& job = call.request.job_id();
    const Logger log = job.empty() ? log_ : log_.ForJob(job.substr(0, 64));
    try {
      status = EncodeAndSend(call, log, &report);
      if (!status.ok()) LogFailure(log, status);
    } catch (const TurnQueue::LineIsFull& full) {
      status = AskAgain(call.context, full.what());
      LogFullLine(call.peer, status);
    } catch (...) {
      status = StatusOfCurrentException();
      LogFailure(log, status);
    }
  } catch (...) {  // not even the log works
    if (status.ok()) status = StatusOfCurrentException();
  }
  call.turn.reset();
  report.code = status.code();
  if (options_.ended) options_.ended(report);
  call.reply->End(ToGrpcStatus(status, call.context));
  const std::lock_guard lock(mutex_);
  --workers_;
  worker_ended_.notify_all();
}

absl::Status EncoderService::EncodeAndSend(Call& call, const Logger& log, EncodeReport* report) {
  const v1::EncodeRequest& request = call.request;
  PromptEncoder& encoder = *call.encoder;
  TurnQueue::Turn& turn = *call.turn;
  const CancelToken& cancel = call.reply->gone();
  Progress progress(*call.reply, request.tell_progress());

  const Clock::time_point start = Clock::now();
  const absl::StatusOr<ValidEncodeRequest> valid =
      ValidateEncodeRequest(request, encoder.facts(), options_.prompt_byte_limit);
  if (!valid.ok()) {
    report->refused_bytes = static_cast<int64_t>(request.ByteSizeLong());
    return valid.status();
  }
  const double format_ms = MillisecondsSince(start);
  log.Info(options_.log_prompts ? absl::StrCat("formatted prompt: ", valid->input.text)
                                : absl::StrCat("formatted prompt of ", valid->input.text.size(), " bytes"));

  turn.Wait(cancel, progress.waits());
  const double waited_before_ms = turn.waited_ms();
  report->waited_ms = waited_before_ms;
  cancel.ThrowIfCancelled();
  const Clock::time_point work = Clock::now();
  const auto worked_ms = [&] { return format_ms + MillisecondsSince(work) - (turn.waited_ms() - waited_before_ms); };
  const Conditioning conditioning = encoder.Encode(valid->input, valid->parameters, [&] {
    turn.LetOthersIn(cancel, progress.waits());
    progress.Works(worked_ms());
  });
  report->waited_ms = turn.waited_ms();
  report->encode_ms = worked_ms();
  call.turn.reset();

  report->tokens = conditioning.header.token_count;
  LogResult(log, conditioning, report->waited_ms, report->encode_ms);
  if (options_.log_prompts && log.Shows(LogLevel::kDebug)) LogTokens(log, encoder.TokenIds(valid->input));
  const Sending sending(*this, call.peer);
  return SendResult(*valid, conditioning, report->encode_ms, *call.reply);
}

}  // namespace diptych
