#include "render_node/conditioning/encoder_pool.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/cancellable_sleep.h"
#include "common/foreign_text/foreign_text.h"
#include "common/net/channel.h"
#include "common/net/grpc_status.h"
#include "common/net/tls_advice.h"
#include "common/prompt/encode_input.h"
#include "common/status/status.h"
#include "common/wire/encode_stream.h"
#include "common/wire/enums.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/conditioning/encode_call.h"

namespace diptych {

using Clock = std::chrono::steady_clock;
using Outcome = EncoderRoster::Outcome;
using std::chrono::milliseconds;

struct EncoderPool::Encoder {
  Encoder(const Address& where, const Credentials& credentials)
      : address(where.ToString()), channel(MakeChannel(where, credentials)), stub(v1::Encoder::NewStub(channel)) {}

  const std::string address;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Encoder::StubInterface> stub;
  grpc::ClientContext* look = nullptr;  // the Describe call under way
  std::thread watch;
};

// What one Fetch asks for, and how.
struct EncoderPool::Asking {
  const FetchRequest& request;
  const EncodeInput input;
  const CancelToken& cancel;
  const std::function<void(const std::string& reason)>& say;  // what is waited for; empty: nothing
};

// What the encoders have said to one request.
struct EncoderPool::Round {
  explicit Round(size_t encoders) : tried(encoders), failures(encoders), verdicts(encoders), exhausted(encoders) {}

  // Every encoder that is up is asked again.
  void Begin() {
    for (size_t i = 0; i < tried.size(); ++i) tried[i] = verdicts[i].has_value();
    failures.assign(failures.size(), "");
    asked = answered_busy = false;
  }

  std::vector<bool> tried;
  std::vector<std::string> failures;                  // of this round
  std::vector<std::optional<absl::Status>> verdicts;  // an encoder that has one is not asked again
  std::vector<std::optional<Time>> exhausted;         // since when it says that memory is short
  std::optional<Time> first_verdict;
  bool asked = false;
  bool answered_busy = false;
};

namespace {

constexpr milliseconds kLookTimeout{2000};
constexpr milliseconds kBelievedAfter{1000};  // without a failed call, an encoder that is up is thought to work
constexpr milliseconds kBetweenRounds{250};   // when all that could be asked failed

// What a job fails with for what an encoder said. A peer that is something else or lets us not in is the wrong one of a
// pair; one that was too slow may be there for the next.
ErrorCode CodeOfAnswer(absl::StatusCode code) {
  switch (const ErrorCode meaning = ToErrorCode(code)) {
    case ErrorCode::kUnimplemented:
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnauthenticated:
      return ErrorCode::kFailedPrecondition;
    case ErrorCode::kDeadlineExceeded:
      return ErrorCode::kUnavailable;
    default:
      return meaning;
  }
}

// What a failed call says of the encoder.
Outcome OutcomeOf(const absl::Status& status) {
  if (BusyFor(status)) return Outcome::kBusy;
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

// Their words, in a line of ours.
std::string Quoted(const std::string& text) { return ForeignText(text); }

std::string Reason(const std::string& address, const std::string& why) {
  return absl::StrCat("encoder ", address, ": ", why);
}

EncoderRosterOptions RosterOptions(const EncoderPoolOptions& options) {
  EncoderRosterOptions roster;
  for (const Address& address : options.encoders) roster.addresses.push_back(address.ToString());
  roster.expected_width = options.expected_width;
  roster.expected_model_fingerprint = options.expected_model_fingerprint;
  roster.remembered = options.remembered_identity;
  roster.check_interval = options.check_interval;
  roster.first_pause = options.first_pause;
  roster.longest_pause = options.longest_pause;
  return roster;
}

// Why a Fetch waits: what this round brought, else what is known.
std::string Reasons(const std::vector<EncoderRoster::Member>& members, const std::vector<std::string>& failures,
                    const std::vector<std::optional<absl::Status>>& verdicts) {
  std::string reasons;
  for (size_t i = 0; i < members.size(); ++i) {
    const std::string verdict = verdicts[i] ? std::string(verdicts[i]->message()) : "";
    const std::string& why = verdicts[i] ? verdict : failures[i].empty() ? members[i].error : failures[i];
    if (why.empty()) continue;
    const bool refused = !verdicts[i] && failures[i].empty() && members[i].state == EncoderState::kRefused;
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ",
                    Reason(members[i].address, refused ? absl::StrCat("refused, ", why) : why));
  }
  return reasons;
}

// What to fail with when encoders disagree: what says most about the request.
int Weight(absl::StatusCode code) {
  switch (CodeOfAnswer(code)) {
    case ErrorCode::kInvalidArgument:
      return 3;
    case ErrorCode::kFailedPrecondition:
      return 2;
    case ErrorCode::kDataLoss:
      return 0;
    default:
      return 1;
  }
}

Error ErrorOf(const std::vector<EncoderRoster::Member>& members,
              const std::vector<std::optional<absl::Status>>& verdicts) {
  std::string reasons;
  std::optional<absl::StatusCode> code;
  for (size_t i = 0; i < members.size(); ++i) {
    if (!verdicts[i]) continue;
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ",
                    Reason(members[i].address, std::string(verdicts[i]->message())));
    if (!code || Weight(verdicts[i]->code()) > Weight(*code)) code = verdicts[i]->code();
  }
  return Error(CodeOfAnswer(*code), reasons);
}

// Whether a thread or memory of our own could not be had, which may be otherwise in a moment.
bool IsShortOfRoom(const std::exception_ptr& failure, std::string* why) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::bad_alloc&) {
    *why = "the renderer is short of memory";
    return true;
  } catch (const std::system_error& error) {
    *why = absl::StrCat("the renderer is short of threads: ", error.what());
    return error.code() == std::errc::resource_unavailable_try_again;
  } catch (...) {
    return false;
  }
}

}  // namespace

EncoderPool::EncoderPool(EncoderPoolOptions options) : options_(std::move(options)), roster_(RosterOptions(options_)) {
  if (options_.encoders.empty()) throw Error(ErrorCode::kInvalidArgument, "no encoder is configured");
  for (const Address& address : options_.encoders)
    encoders_.push_back(std::make_unique<Encoder>(address, options_.credentials));
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
    const absl::Status believable = CheckDescription(response);
    std::string tls;
    if (absl::IsUnavailable(status)) {
      tls = TlsAdvice({status.message().data(), status.message().size()}, encoder.address, options_.credentials);
      ConnectAnew(encoder.channel);  // this watch has pauses of its own
    }
    lock.lock();
    encoder.look = nullptr;
    if (ending_) return;
    if (!status.ok()) {
      std::string why = absl::IsDeadlineExceeded(status)
                            ? absl::StrCat("no answer within ", kLookTimeout.count() / 1000, " s")
                            : Quoted(tls.empty() ? std::string(status.message()) : tls);
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
  const milliseconds second_opinion = std::min(options_.second_opinion, options_.call_timeout);
  const Time start = Clock::now();
  std::optional<Time> unreachable_since;
  Time waits_since = start;  // for one that works at all, busy or not
  std::string told;
  const std::function<void(const std::string&)> say = [&](const std::string& reason) {
    if (!on_waiting || reason == told) return;
    told = reason;
    on_waiting(reason);
  };
  const Asking asking{request, EncodeInputOf(request.prompt), cancel, say};
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
  for (Round round(encoders_.size());;) {
    cancel.ThrowIfCancelled();
    round.Begin();
    for (;;) {
      std::optional<size_t> encoder;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        const Time now = Clock::now();
        encoder = roster_.Pick(round.tried, now);
        if (encoder) roster_.CallBegan(*encoder, now);
      }
      if (!encoder) break;
      // Not while it says again and again that it cannot yet.
      if (Clock::now() - last_failure >= kBelievedAfter) say("");
      if (std::optional<FetchResult> result = Ask(*encoder, asking, &round)) {
        for (size_t i = 0; i < encoders_.size(); ++i) {
          if (i == *encoder || (!round.verdicts[i] && !round.exhausted[i])) continue;
          const std::lock_guard<std::mutex> lock(mutex_);
          roster_.Contradicted(i, round.verdicts[i] ? std::string(round.verdicts[i]->message()) : round.failures[i],
                               Clock::now());
        }
        LogEvents();
        return *std::move(result);
      }
    }

    std::unique_lock<std::mutex> lock(mutex_);
    const std::vector<EncoderRoster::Member> members = roster_.members();
    const bool all_refused = roster_.AllAre(EncoderState::kRefused);
    const bool any_unknown = roster_.AnyIs(EncoderState::kUnknown);
    const bool any_up = roster_.AnyIs(EncoderState::kUp);
    const bool hope = roster_.AnyMayComeSoon();
    lock.unlock();
    const std::string reasons = Reasons(members, round.failures, round.verdicts);
    const Time now = Clock::now();
    if (round.asked) last_failure = now;
    if (round.answered_busy) waits_since = now;
    if (round.first_verdict) {
      bool another_may = false;
      for (size_t i = 0; i < members.size(); ++i) {
        another_may = another_may || (!round.verdicts[i] && members[i].state != EncoderState::kRefused);
      }
      const bool late = !round.answered_busy && now - *round.first_verdict >= second_opinion;
      if (!another_may || late) throw ErrorOf(members, round.verdicts);
    }
    if (all_refused && std::exchange(looked_at_all, true)) throw Error(ErrorCode::kFailedPrecondition, reasons);
    if (all_refused) {  // as far as an earlier look tells
      AwaitLooks(everybody, start, kLookTimeout, cancel);
      continue;
    }
    unreachable_since = hope ? std::nullopt : std::optional(unreachable_since.value_or(now));
    if (patience > milliseconds(0) &&
        ((unreachable_since && now - *unreachable_since >= patience) || now - waits_since >= options_.call_timeout)) {
      throw Error(
          ErrorCode::kUnavailable,
          absl::StrCat(reasons, " (waited ", std::chrono::duration_cast<std::chrono::seconds>(now - start).count(),
                       " s; --encoder-patience, --encode-timeout)"));
    }
    // What is not known yet will be in a moment.
    if (!any_unknown && !reasons.empty()) say(reasons);
    if (round.asked || any_up) {
      SleepUnlessCancelled(kBetweenRounds, cancel);
    } else {
      AwaitAnyUp(cancel);
    }
  }
}

// Ends the call that was begun. Nothing: it failed; `round` says how.
std::optional<FetchResult> EncoderPool::Ask(size_t index, const Asking& asking, Round* round) {
  const Encoder& encoder = *encoders_[index];
  EncoderIdentity identity;
  bool tells_progress = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    identity = *roster_.identity();  // there is one when an encoder is up
    tells_progress = roster_.members()[index].tells_progress;
  }
  v1::EncodeRequest proto = ToProto(asking.request);
  proto.set_expected_model_fingerprint(identity.model_fingerprint);
  EncodeCallOptions call;
  call.input = asking.input;
  call.expected_width = options_.expected_width;
  call.terms = {.work = options_.call_timeout, .silence = options_.silence, .told = tells_progress};
  call.on_progress = [&](std::optional<int32_t> ahead) {
    round->answered_busy = true;
    asking.say(ahead ? Reason(encoder.address, absl::StrCat("other prompts come first, about ", *ahead)) : "");
  };
  call.leaves = [&](bool working, EncodeClock::Duration waited) {
    if (waited < (working ? options_.call_timeout : options_.longest_line)) return false;
    std::vector<bool> tried = round->tried;
    tried[index] = true;
    const std::lock_guard<std::mutex> lock(mutex_);
    return roster_.Pick(tried, Clock::now()).has_value();
  };
  absl::StatusOr<FetchResult> result;
  try {
    result = CallEncode(encoder.stub.get(), proto, call, asking.cancel);
  } catch (...) {
    EndCall(index, Outcome::kCancelled, "");
    std::string why;
    if (!IsShortOfRoom(std::current_exception(), &why)) throw;
    round->tried[index] = true;
    round->asked = round->answered_busy = true;
    round->failures[index] = why;
    return std::nullopt;
  }
  if (asking.cancel.IsCancelled()) {
    EndCall(index, Outcome::kCancelled, "");
    asking.cancel.ThrowIfCancelled();
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
  const std::string why = Quoted(std::string(failure.message()));
  if (const auto pause = BusyFor(failure)) {
    const std::lock_guard<std::mutex> lock(mutex_);
    roster_.BusyUntil(index, Clock::now() + *pause);
  }
  EndCall(index, OutcomeOf(failure), why);

  round->asked = true;
  round->tried[index] = true;
  if (absl::IsFailedPrecondition(failure) && !IsStillOurs(index, identity, asking.cancel)) {
    return std::nullopt;  // replaced since it was looked at: refused by now, or the pool's new model
  }
  Refused(index, failure, why, round);
  return std::nullopt;
}

// What the failure of a call means for the request.
void EncoderPool::Refused(size_t index, const absl::Status& failure, const std::string& why, Round* round) {
  const Time now = Clock::now();
  round->failures[index] = why;
  if (BusyFor(failure)) {
    round->answered_busy = true;
    return;
  }
  if (absl::IsUnavailable(failure) || absl::IsAborted(failure)) return;
  if (absl::IsResourceExhausted(failure)) {
    if (!round->exhausted[index]) round->exhausted[index] = now;
    if (now - *round->exhausted[index] < std::min(options_.second_opinion, options_.call_timeout)) {
      round->answered_busy = true;
      return;
    }
  }
  round->verdicts[index] = absl::Status(failure.code(), why);
  if (!round->first_verdict) round->first_verdict = now;
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
  changed_.wait_for(lock, cancel.stop_token(), kBetweenRounds, [&] { return roster_.AnyIs(EncoderState::kUp); });
  cancel.ThrowIfCancelled();
}

// Until each of them has been looked at, asked for at `since` or later.
void EncoderPool::AwaitLooks(const std::vector<size_t>& encoders, Time since, milliseconds most,
                             const CancelToken& cancel) {
  const auto looked = [&] {
    return std::all_of(encoders.begin(), encoders.end(),
                       [&](size_t i) { return roster_.members()[i].last_look >= since; });
  };
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, cancel.stop_token(), most, looked);
  cancel.ThrowIfCancelled();
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
    if (report.error.empty() && !member.doubt.empty()) {
      report.error = "in doubt, asked last: another encoder gave rows where it said: " + member.doubt;
    }
    if (member.identity) report.model_fingerprint = member.identity->model_fingerprint;
    report.width = member.width;
    report.in_flight = member.in_flight;
  }
  return reports;
}

}  // namespace diptych
