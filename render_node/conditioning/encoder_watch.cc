#include "render_node/conditioning/encoder_watch.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/foreign_text/foreign_text.h"
#include "common/net/channel.h"
#include "common/net/grpc_status.h"
#include "common/net/tls_advice.h"
#include "common/wire/encode_stream.h"
#include "common/wire/enums.h"

namespace diptych {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct EncoderWatch::Encoder {
  Encoder(const Address& where, const Credentials& credentials)
      : address(where.ToString()), channel(MakeChannel(where, credentials)), stub(v1::Encoder::NewStub(channel)) {}

  const std::string address;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Encoder::StubInterface> stub;
  grpc::ClientContext* look = nullptr;  // the Describe call under way
  std::thread watch;
};

namespace {

// What a failed look says of the encoder.
EncoderState StateOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return IsStillLoading(status) ? EncoderState::kLoading : EncoderState::kDown;
    default:  // also where something else listens, or lets us not in: jobs wait until that is put right
      return EncoderState::kDown;
  }
}

}  // namespace

EncoderWatch::EncoderWatch(const std::vector<Address>& encoders, const Credentials& credentials,
                           EncoderRosterOptions roster, std::optional<Logger> log)
    : credentials_(credentials), log_(std::move(log)), roster_(std::move(roster)) {
  for (const Address& address : encoders) encoders_.push_back(std::make_unique<Encoder>(address, credentials_));
  for (size_t i = 0; i < encoders_.size(); ++i) encoders_[i]->watch = std::thread([this, i] { Watch(i); });
}

EncoderWatch::~EncoderWatch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
    for (const std::unique_ptr<Encoder>& encoder : encoders_) {
      if (encoder->look != nullptr) encoder->look->TryCancel();
    }
  }
  wake_.notify_all();
  for (const std::unique_ptr<Encoder>& encoder : encoders_) encoder->watch.join();
}

const std::string& EncoderWatch::address(size_t encoder) const { return encoders_[encoder]->address; }

v1::Encoder::StubInterface& EncoderWatch::stub(size_t encoder) const { return *encoders_[encoder]->stub; }

void EncoderWatch::Change(const std::function<void(EncoderRoster&)>& change) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    change(roster_);
  }
  wake_.notify_all();
  LogEvents();
}

// On a thread of its own.
void EncoderWatch::Watch(size_t index) {
  Encoder& encoder = *encoders_[index];
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_) {
    const Time asked = Clock::now();
    if (const Time next = roster_.members()[index].next_look; asked < next) {
      wake_.wait_until(lock, next);
      continue;
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kLookTimeout);
    encoder.look = &context;
    lock.unlock();
    v1::DescribeEncoderResponse response;
    const absl::Status status = FromGrpcStatus(encoder.stub->Describe(&context, {}, &response), context);
    const absl::Status believable = CheckDescription(response);
    std::string tls;
    if (absl::IsUnavailable(status)) {
      tls = TlsAdvice({status.message().data(), status.message().size()}, encoder.address, credentials_);
      ConnectAnew(encoder.channel);  // this watch has pauses of its own
    }
    lock.lock();
    encoder.look = nullptr;
    if (ending_) return;
    if (!status.ok()) {
      const std::string why = absl::IsDeadlineExceeded(status)
                                  ? absl::StrCat("no answer within ", kLookTimeout.count() / 1000, " s")
                                  : ForeignText(tls.empty() ? std::string(status.message()) : tls);
      roster_.NotAnswered(index, StateOf(status), why, asked, Clock::now());
    } else if (!believable.ok()) {
      roster_.NotAnswered(index, EncoderState::kRefused, std::string(believable.message()), asked, Clock::now());
    } else {
      roster_.Answered(index,
                       {response.model_fingerprint(), response.tokenizer_fingerprint(), *FromProto(response.dtype())},
                       response.width(), asked, Clock::now(), response.tells_progress());
    }
    changed_.notify_all();
    lock.unlock();
    LogEvents();
    lock.lock();
  }
}

void EncoderWatch::LogEvents() {
  std::vector<std::pair<LogLevel, std::string>> events;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    events = roster_.TakeEvents();
  }
  if (!log_) return;
  for (const auto& [level, text] : events) level == LogLevel::kInfo ? log_->Info(text) : log_->Warn(text);
}

void EncoderWatch::AwaitLooks(const std::vector<size_t>& encoders, Time since, milliseconds most,
                              const CancelToken& cancel) {
  const auto looked = [&] {
    return std::all_of(encoders.begin(), encoders.end(),
                       [&](size_t i) { return roster_.members()[i].last_look >= since; });
  };
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, cancel.stop_token(), most, looked);
  cancel.ThrowIfCancelled();
}

void EncoderWatch::AwaitAnyUp(milliseconds most, const CancelToken& cancel) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, cancel.stop_token(), most, [&] { return roster_.AnyIs(EncoderState::kUp); });
  cancel.ThrowIfCancelled();
}

}  // namespace diptych
