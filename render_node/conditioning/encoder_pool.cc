#include "render_node/conditioning/encoder_pool.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/channel.h"
#include "common/net/grpc_status.h"
#include "common/wire/enums.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/conditioning/encode_call.h"

namespace diptych {

using Clock = std::chrono::steady_clock;
using Outcome = EncoderRoster::Outcome;
using std::chrono::milliseconds;

struct EncoderPool::Encoder {
  explicit Encoder(const Address& where)
      : address(where.ToString()), channel(MakeChannel(where)), stub(v1::Encoder::NewStub(channel)) {}

  const std::string address;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Encoder::StubInterface> stub;
  grpc::ClientContext* look = nullptr;  // the Describe call under way
  std::thread watch;
};

// One attempt to get a result: every encoder that is up is asked once.
struct EncoderPool::Round {
  std::vector<bool> tried;
  std::vector<std::string> failures;  // by encoder; empty: none
  bool asked = false;
  bool all_data_loss = true;
};

namespace {

constexpr milliseconds kLookTimeout{2000};
constexpr milliseconds kTick{20};             // how late a cancellation is seen while waiting
constexpr milliseconds kBelievedAfter{1000};  // without a failed call, an encoder that is up is thought to work
constexpr milliseconds kBetweenRounds{250};   // when all that could be asked failed

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

// What a failed call says of the encoder.
Outcome OutcomeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:  // also what gRPC says of a connection that broke or went silent
      return IsStillLoading(status) ? Outcome::kNotNow : Outcome::kLost;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return Outcome::kBroken;
    default:
      return Outcome::kBelieved;
  }
}

// What a failed look says of the encoder.
EncoderState StateOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return IsStillLoading(status) ? EncoderState::kLoading : EncoderState::kDown;
    case absl::StatusCode::kUnimplemented:  // something else listens there
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return EncoderState::kRefused;
    default:
      return EncoderState::kDown;
  }
}

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  return text;
}

std::string Reason(const std::string& address, const std::string& why) {
  return absl::StrCat("encoder ", address, ": ", why);
}

// Sleeps, but no longer than until `cancel`.
void Pause(milliseconds duration, const CancelToken& cancel) {
  for (const Clock::time_point end = Clock::now() + duration; Clock::now() < end;) {
    cancel.ThrowIfCancelled();
    std::this_thread::sleep_for(kTick);
  }
}

EncoderRosterOptions RosterOptions(const EncoderPoolOptions& options) {
  EncoderRosterOptions roster;
  for (const Address& address : options.encoders) roster.addresses.push_back(address.ToString());
  roster.expected_width = options.expected_width;
  roster.expected_model_fingerprint = options.expected_model_fingerprint;
  roster.check_interval = options.check_interval;
  roster.first_pause = options.first_pause;
  roster.longest_pause = options.longest_pause;
  return roster;
}

// Why a Fetch waits: what this round brought, else what is known.
std::string Reasons(const std::vector<EncoderRoster::Member>& members, const std::vector<std::string>& failures) {
  std::string reasons;
  for (size_t i = 0; i < members.size(); ++i) {
    const std::string& why = failures[i].empty() ? members[i].error : failures[i];
    if (why.empty()) continue;
    const bool refused = failures[i].empty() && members[i].state == EncoderState::kRefused;
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ",
                    Reason(members[i].address, refused ? absl::StrCat("refused, ", why) : why));
  }
  return reasons;
}

}  // namespace

EncoderPool::EncoderPool(EncoderPoolOptions options) : options_(std::move(options)), roster_(RosterOptions(options_)) {
  if (options_.encoders.empty()) throw Error(ErrorCode::kInvalidArgument, "no encoder is configured");
  for (const Address& address : options_.encoders) encoders_.push_back(std::make_unique<Encoder>(address));
  for (size_t i = 0; i < encoders_.size(); ++i) encoders_[i]->watch = std::thread([this, i] { Watch(i); });
}

EncoderPool::~EncoderPool() {
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

// The health watch of one encoder: looks at it whenever the roster says.
void EncoderPool::Watch(size_t index) {
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
    const absl::StatusOr<StateDtype> dtype = FromProto(response.dtype());
    if (absl::IsUnavailable(status)) ConnectAnew(encoder.channel);  // this watch has pauses of its own
    lock.lock();
    encoder.look = nullptr;
    if (ending_) return;
    if (!status.ok()) {
      std::string why = absl::IsDeadlineExceeded(status)
                            ? absl::StrCat("no answer within ", kLookTimeout.count() / 1000, " s")
                            : OneLine(std::string(status.message()));
      roster_.NotAnswered(index, StateOf(status), why, asked, Clock::now());
    } else if (!dtype.ok()) {
      roster_.NotAnswered(index, EncoderState::kRefused, "it does not say its number format", asked, Clock::now());
    } else {
      roster_.Answered(index, {response.model_fingerprint(), response.tokenizer_fingerprint(), *dtype},
                       response.width(), asked, Clock::now());
    }
    changed_.notify_all();
    lock.unlock();
    LogEvents();
    lock.lock();
  }
}

void EncoderPool::LogEvents() {
  std::vector<std::pair<LogLevel, std::string>> events;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    events = roster_.TakeEvents();
  }
  if (!options_.log) return;
  for (const auto& [level, text] : events) {
    level == LogLevel::kInfo ? options_.log->Info(text) : options_.log->Warn(text);
  }
}

FetchResult EncoderPool::Fetch(const FetchRequest& request, const CancelToken& cancel,
                               const std::function<void(const std::string& reason)>& on_waiting) {
  const milliseconds patience = options_.unreachable_patience;
  const Time start = Clock::now();
  std::optional<Time> unreachable_since;
  std::string told;
  Time last_failure{};  // of a call
  std::vector<size_t> everybody;
  bool looked_at_all = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < encoders_.size(); ++i) {  // it may have finished, or been put right, since
      const EncoderState state = roster_.members()[i].state;
      if (state == EncoderState::kLoading || state == EncoderState::kRefused) roster_.LookNow(i, start);
      everybody.push_back(i);
    }
  }
  wake_.notify_all();
  for (;;) {
    cancel.ThrowIfCancelled();
    Round round{std::vector<bool>(encoders_.size()), std::vector<std::string>(encoders_.size())};
    for (;;) {
      std::optional<size_t> encoder;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        encoder = roster_.Pick(round.tried);
        if (encoder) roster_.CallBegan(*encoder);
      }
      if (!encoder) break;
      // Not while it says again and again that it cannot yet.
      if (on_waiting && !told.empty() && Clock::now() - last_failure >= kBelievedAfter) {
        told.clear();
        on_waiting("");
      }
      if (std::optional<FetchResult> result = Ask(*encoder, request, cancel, &round)) return *std::move(result);
    }

    std::unique_lock<std::mutex> lock(mutex_);
    const std::string reasons = Reasons(roster_.members(), round.failures);
    const bool all_refused = roster_.AllAre(EncoderState::kRefused);
    const bool any_unknown = roster_.AnyIs(EncoderState::kUnknown);
    const bool hope = roster_.AnyMayComeSoon();
    lock.unlock();
    if (round.asked) last_failure = Clock::now();
    if (round.asked && round.all_data_loss) throw Error(ErrorCode::kDataLoss, reasons);
    if (all_refused && std::exchange(looked_at_all, true)) throw Error(ErrorCode::kFailedPrecondition, reasons);
    if (all_refused) {  // as far as an earlier look tells
      AwaitLooks(everybody, start, kLookTimeout, cancel);
      continue;
    }
    const Time now = Clock::now();
    unreachable_since = hope ? std::nullopt : std::optional(unreachable_since.value_or(now));
    if (patience > milliseconds(0) &&
        ((unreachable_since && now - *unreachable_since >= patience) || now - start >= options_.call_timeout)) {
      throw Error(
          ErrorCode::kUnavailable,
          absl::StrCat(reasons, " (waited ", std::chrono::duration_cast<std::chrono::seconds>(now - start).count(),
                       " s; --encoder-patience, --encode-timeout)"));
    }
    // What is not known yet will be in a moment.
    if (on_waiting && !any_unknown && !reasons.empty() && reasons != told) {
      on_waiting(reasons);
      told = reasons;
    }
    if (round.asked) {
      Pause(kBetweenRounds, cancel);
    } else {
      AwaitAnyUp(cancel);
    }
  }
}

// Ends the call that was begun. Nothing: it failed in a way that another encoder may make good; `round` says how.
std::optional<FetchResult> EncoderPool::Ask(size_t index, const FetchRequest& request, const CancelToken& cancel,
                                            Round* round) {
  const Encoder& encoder = *encoders_[index];
  const EncoderIdentity identity = *this->identity();  // there is one when an encoder is up
  v1::EncodeRequest proto = ToProto(request);
  proto.set_expected_model_fingerprint(identity.model_fingerprint);
  absl::StatusOr<FetchResult> result;
  try {
    result = CallEncode(encoder.stub.get(), proto, options_.expected_width,
                        std::chrono::system_clock::now() + options_.call_timeout, cancel);
  } catch (...) {  // std::bad_alloc
    EndCall(index, Outcome::kCancelled, "");
    throw;
  }
  if (cancel.IsCancelled()) {
    EndCall(index, Outcome::kCancelled, "");
    cancel.ThrowIfCancelled();
  }
  absl::Status failure = result.status();
  if (result.ok()) {
    const std::string difference = IdentityDifference(IdentityOf(result->conditioning.header), identity);
    if (difference.empty()) {
      EndCall(index, Outcome::kDone, "");
      return *std::move(result);
    }
    failure =
        absl::FailedPreconditionError(absl::StrCat("it sent rows of another model than it says it has: ", difference));
  }
  // Not ours, so it was cancelled over there: that daemon is stopping.
  if (absl::IsCancelled(failure)) failure = absl::UnavailableError("it stopped during the call");
  if (absl::IsDeadlineExceeded(failure)) {
    failure = absl::DeadlineExceededError(
        absl::StrCat("no result within ", static_cast<double>(options_.call_timeout.count()) / 1000, " s"));
  }
  const std::string why = OneLine(std::string(failure.message()));
  EndCall(index, OutcomeOf(failure), why);

  if (absl::IsFailedPrecondition(failure) && !IsStillOurs(index, identity, cancel)) {
    return std::nullopt;  // replaced since it was looked at: refused by now, or the pool's new model
  }
  if (!absl::IsUnavailable(failure) && !absl::IsDataLoss(failure)) {
    throw Error(ToErrorCode(failure.code()), Reason(encoder.address, why));
  }
  round->tried[index] = true;
  round->failures[index] = why;
  round->asked = true;
  round->all_data_loss = round->all_data_loss && absl::IsDataLoss(failure);
  return std::nullopt;
}

void EncoderPool::EndCall(size_t encoder, Outcome outcome, const std::string& why) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    roster_.CallEnded(encoder, outcome, why, Clock::now());
  }
  wake_.notify_all();
  LogEvents();
}

// Looks at the encoder now: whether it is up with this identity, and the pool's is still the same.
bool EncoderPool::IsStillOurs(size_t encoder, const EncoderIdentity& identity, const CancelToken& cancel) {
  const Time now = Clock::now();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    roster_.LookNow(encoder, now);
  }
  wake_.notify_all();
  AwaitLooks({encoder}, now, 2 * kLookTimeout, cancel);
  const std::lock_guard<std::mutex> lock(mutex_);
  return roster_.members()[encoder].state == EncoderState::kUp && roster_.identity() == identity;
}

// Until an encoder is up or what there is to say may have changed; not for long.
void EncoderPool::AwaitAnyUp(const CancelToken& cancel) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (const Time end = Clock::now() + kBetweenRounds; Clock::now() < end && !roster_.AnyIs(EncoderState::kUp);) {
    cancel.ThrowIfCancelled();
    changed_.wait_for(lock, kTick);
  }
}

// Until each of them has been looked at, asked for at `since` or later.
void EncoderPool::AwaitLooks(const std::vector<size_t>& encoders, Time since, milliseconds most,
                             const CancelToken& cancel) {
  const auto looked = [&] {
    return std::all_of(encoders.begin(), encoders.end(),
                       [&](size_t i) { return roster_.members()[i].last_look >= since; });
  };
  std::unique_lock<std::mutex> lock(mutex_);
  for (const Time end = Clock::now() + most; Clock::now() < end && !looked();) {
    cancel.ThrowIfCancelled();
    changed_.wait_for(lock, kTick);
  }
}

std::optional<EncoderIdentity> EncoderPool::identity() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return roster_.identity();
}

std::vector<EncoderPool::Report> EncoderPool::Describe() {
  const Time now = Clock::now();
  std::vector<size_t> all;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < encoders_.size(); ++i) {
      all.push_back(i);
      roster_.LookNow(i, now);
    }
  }
  wake_.notify_all();
  AwaitLooks(all, now, kLookTimeout, CancelToken());
  return Known();
}

std::vector<EncoderPool::Report> EncoderPool::Known() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Report> reports;
  for (const EncoderRoster::Member& member : roster_.members()) {
    Report& report = reports.emplace_back();
    report.address = member.address;
    report.state = member.state;
    report.reachable = member.reachable;
    report.refused = member.state == EncoderState::kRefused;
    report.error = member.state == EncoderState::kUnknown ? "no answer yet" : member.error;
    if (member.identity) report.model_fingerprint = member.identity->model_fingerprint;
    report.width = member.width;
    report.in_flight = member.in_flight;
  }
  return reports;
}

}  // namespace diptych
