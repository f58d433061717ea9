#include "render_node/conditioning/fail_over.h"

#include <algorithm>
#include <exception>
#include <new>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/concurrency/cancellable_sleep.h"
#include "common/error/error.h"
#include "common/error/status.h"
#include "common/foreign_text/foreign_text.h"
#include "common/net/grpc_status.h"
#include "render_node/conditioning/encoder_connection.h"
#include "render_node/conditioning/encoder_watch.h"

namespace diptych {
namespace {

using Clock = std::chrono::steady_clock;
using Member = EncoderRoster::Member;
using Outcome = EncoderRoster::Outcome;
using Time = EncoderRoster::Time;
using std::chrono::milliseconds;

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

// What the end of a call says of the encoder.
Outcome OutcomeOf(const absl::Status& status, bool gives_rows) {
  if (status.ok()) return gives_rows ? Outcome::kDone : Outcome::kAnswered;
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
      return gives_rows ? Outcome::kBelieved : Outcome::kAnswered;
  }
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

std::string Reason(const std::string& address, const std::string& why) {
  return absl::StrCat("encoder ", address, ": ", why);
}

// In rounds: in each of them every encoder that is up is asked once, unless it has refused.
class FailOver {
 public:
  FailOver(EncoderWatch& encoders, const EncoderCall& call, const EncoderCallLimits& limits, const CancelToken& cancel,
           const std::function<void(const std::string& reason)>& on_waiting)
      : encoders_(encoders),
        call_(call),
        limits_(limits),
        second_opinion_(std::min(limits.second_opinion, limits.work)),
        cancel_(cancel),
        on_waiting_(on_waiting),
        tried_(encoders.size()),
        failures_(encoders.size()),
        verdicts_(encoders.size()),
        exhausted_(encoders.size()) {}

  void Run();

 private:
  // An encoder whose call was begun, as it was known then.
  struct Picked {
    size_t encoder;
    EncoderIdentity identity;
    bool tells_progress;
  };

  std::optional<Picked> Pick();
  bool Ask(const Picked& picked);
  void Failed(const Picked& picked, absl::Status failure);
  void End(size_t encoder, Outcome outcome, const std::string& why);
  bool IsStillOurs(const Picked& picked);
  void Judge(size_t encoder, const absl::Status& failure, const std::string& why);
  void DoubtOthersThan(size_t encoder);
  void WaitForAnother();
  std::string Reasons(const std::vector<Member>& members) const;
  Error Verdict(const std::vector<Member>& members) const;
  void Say(const std::string& reason);

  EncoderWatch& encoders_;
  const EncoderCall& call_;
  const EncoderCallLimits& limits_;
  const milliseconds second_opinion_;
  const CancelToken& cancel_;
  const std::function<void(const std::string& reason)>& on_waiting_;
  const Time start_ = Clock::now();

  // By encoder.
  std::vector<bool> tried_;                            // in this round, or it has a verdict
  std::vector<std::string> failures_;                  // of this round
  std::vector<std::optional<absl::Status>> verdicts_;  // one that has one is not asked again
  std::vector<std::optional<Time>> exhausted_;         // since when it says that memory is short

  bool asked_ = false;          // somebody, in this round
  bool answered_busy_ = false;  // somebody, in this round
  std::optional<Time> first_verdict_;
  std::optional<Time> unreachable_since_;
  Time waits_since_ = start_;  // for one that works at all, busy or not
  Time last_failure_{};        // of a call
  bool looked_at_all_ = false;
  std::string told_;
};

void FailOver::Run() {
  encoders_.Change([&](EncoderRoster& roster) {
    for (size_t i = 0; i < encoders_.size(); ++i) {  // it may have finished, or been put right, since
      const EncoderState state = roster.members()[i].state;
      if (state == EncoderState::kLoading || state == EncoderState::kRefused) roster.LookNow(i, start_);
    }
  });
  for (;;) {
    cancel_.ThrowIfCancelled();
    for (size_t i = 0; i < tried_.size(); ++i) tried_[i] = verdicts_[i].has_value();
    failures_.assign(failures_.size(), "");
    asked_ = answered_busy_ = false;
    while (const std::optional<Picked> picked = Pick()) {
      // Not while it says again and again that it cannot yet.
      if (Clock::now() - last_failure_ >= kBelievedAfter) Say("");
      if (!Ask(*picked)) continue;
      if (call_.gives_rows) DoubtOthersThan(picked->encoder);
      return;
    }
    WaitForAnother();
  }
}

std::optional<FailOver::Picked> FailOver::Pick() {
  std::optional<Picked> picked;
  encoders_.Change([&](EncoderRoster& roster) {
    const Time now = Clock::now();
    const std::optional<size_t> encoder = roster.Pick(tried_, now);
    if (!encoder) return;
    // There is an identity when an encoder is up.
    picked = Picked{*encoder, *roster.identity(), roster.members()[*encoder].tells_progress};
    roster.CallBegan(*encoder, now);
  });
  return picked;
}

// Makes the call and ends it. False: it failed, and what follows from that is noted.
bool FailOver::Ask(const Picked& picked) {
  const size_t index = picked.encoder;
  const EncoderConnection connection{
      .stub = encoders_.stub(index),
      .identity = picked.identity,
      .terms = {.work = limits_.work, .silence = limits_.silence, .told = picked.tells_progress},
      .on_progress =
          [&](std::optional<int32_t> ahead) {
            answered_busy_ = true;
            Say(ahead ? Reason(encoders_.address(index), absl::StrCat("other prompts come first, about ", *ahead))
                      : "");
          },
      .leaves =
          [&](bool working, EncodeClock::Duration waited) {
            if (waited < (working ? limits_.work : limits_.longest_line)) return false;
            std::vector<bool> tried = tried_;
            tried[index] = true;
            return encoders_.Read(
                [&](const EncoderRoster& roster) { return roster.Pick(tried, Clock::now()).has_value(); });
          }};
  absl::Status failure;
  try {
    failure = call_.ask(connection);
  } catch (...) {
    End(index, Outcome::kCancelled, "");
    std::string why;
    if (!IsShortOfRoom(std::current_exception(), &why)) throw;
    tried_[index] = true;
    asked_ = answered_busy_ = true;
    failures_[index] = why;
    return false;
  }
  if (cancel_.IsCancelled()) {
    End(index, Outcome::kCancelled, "");
    cancel_.ThrowIfCancelled();
  }
  if (failure.ok()) {
    End(index, OutcomeOf(failure, call_.gives_rows), "");
    return true;
  }
  Failed(picked, std::move(failure));
  return false;
}

void FailOver::Failed(const Picked& picked, absl::Status failure) {
  const size_t index = picked.encoder;
  // Not ours, so it was cancelled over there: that daemon is stopping.
  if (absl::IsCancelled(failure)) failure = absl::UnavailableError("it stopped during the call");
  const std::string why = ForeignText(std::string(failure.message()));  // its words, in a line of ours
  encoders_.Change([&](EncoderRoster& roster) {
    const Time now = Clock::now();
    if (const auto pause = BusyFor(failure)) roster.BusyUntil(index, now + *pause);
    roster.CallEnded(index, OutcomeOf(failure, call_.gives_rows), why, now);
  });
  asked_ = true;
  tried_[index] = true;
  // One that was replaced since it was looked at is refused by now, or has the pool's new model.
  if (absl::IsFailedPrecondition(failure) && !IsStillOurs(picked)) return;
  Judge(index, failure, why);
}

// What the failure of a call means for the request.
void FailOver::Judge(size_t index, const absl::Status& failure, const std::string& why) {
  const Time now = Clock::now();
  failures_[index] = why;
  if (BusyFor(failure)) {
    answered_busy_ = true;
    return;
  }
  if (absl::IsUnavailable(failure) || absl::IsAborted(failure)) return;
  if (absl::IsResourceExhausted(failure)) {
    if (!exhausted_[index]) exhausted_[index] = now;
    if (now - *exhausted_[index] < second_opinion_) {
      answered_busy_ = true;
      return;
    }
  }
  verdicts_[index] = absl::Status(failure.code(), why);
  if (!first_verdict_) first_verdict_ = now;
}

void FailOver::End(size_t encoder, Outcome outcome, const std::string& why) {
  encoders_.Change([&](EncoderRoster& roster) { roster.CallEnded(encoder, outcome, why, Clock::now()); });
}

// Looks at the encoder now: whether it is up with this identity, and the pool's is still the same.
bool FailOver::IsStillOurs(const Picked& picked) {
  const Time now = Clock::now();
  encoders_.Change([&](EncoderRoster& roster) { roster.LookNow(picked.encoder, now); });
  encoders_.AwaitLooks({picked.encoder}, now, 2 * EncoderWatch::kLookTimeout, cancel_);
  return encoders_.Read([&](const EncoderRoster& roster) {
    return roster.members()[picked.encoder].state == EncoderState::kUp && roster.identity() == picked.identity;
  });
}

// This one gave rows where they refused.
void FailOver::DoubtOthersThan(size_t encoder) {
  encoders_.Change([&](EncoderRoster& roster) {
    for (size_t i = 0; i < encoders_.size(); ++i) {
      if (i == encoder || (!verdicts_[i] && !exhausted_[i])) continue;
      roster.Contradicted(i, verdicts_[i] ? std::string(verdicts_[i]->message()) : failures_[i], Clock::now());
    }
  });
}

// Between two rounds. Throws when another one would not help.
void FailOver::WaitForAnother() {
  std::vector<Member> members;
  bool all_refused = false, any_unknown = false, any_up = false, hope = false;
  encoders_.Read([&](const EncoderRoster& roster) {
    members = roster.members();
    all_refused = roster.AllAre(EncoderState::kRefused);
    any_unknown = roster.AnyIs(EncoderState::kUnknown);
    any_up = roster.AnyIs(EncoderState::kUp);
    hope = roster.AnyMayComeSoon();
  });
  const std::string reasons = Reasons(members);
  const Time now = Clock::now();
  if (asked_) last_failure_ = now;
  // Whoever has not been looked at yet is not waited for yet.
  if (answered_busy_ || any_unknown) waits_since_ = now;
  if (first_verdict_) {
    bool another_may = false;
    for (size_t i = 0; i < members.size(); ++i) {
      another_may = another_may || (!verdicts_[i] && members[i].state != EncoderState::kRefused);
    }
    const bool late = !answered_busy_ && now - *first_verdict_ >= second_opinion_;
    if (!another_may || late) throw Verdict(members);
  }
  if (all_refused && std::exchange(looked_at_all_, true)) throw Error(ErrorCode::kFailedPrecondition, reasons);
  if (all_refused) {  // as far as an earlier look tells
    std::vector<size_t> all;
    for (size_t i = 0; i < members.size(); ++i) all.push_back(i);
    encoders_.AwaitLooks(all, start_, EncoderWatch::kLookTimeout, cancel_);
    return;
  }
  const milliseconds patience = limits_.unreachable_patience;
  unreachable_since_ = hope ? std::nullopt : std::optional(unreachable_since_.value_or(now));
  if (patience > milliseconds(0) &&
      ((unreachable_since_ && now - *unreachable_since_ >= patience) || now - waits_since_ >= limits_.work)) {
    throw Error(
        ErrorCode::kUnavailable,
        absl::StrCat(reasons, " (waited ", std::chrono::duration_cast<std::chrono::seconds>(now - start_).count(),
                     " s; --encoder-patience, --encode-timeout)"));
  }
  // What is not known yet will be in a moment.
  if (!any_unknown && !reasons.empty()) Say(reasons);
  if (asked_ || any_up) {
    SleepUnlessCancelled(kBetweenRounds, cancel_);
  } else {
    encoders_.AwaitAnyUp(kBetweenRounds, cancel_);
  }
}

// What this round brought, else what is known.
std::string FailOver::Reasons(const std::vector<Member>& members) const {
  std::string reasons;
  for (size_t i = 0; i < members.size(); ++i) {
    const std::string verdict = verdicts_[i] ? std::string(verdicts_[i]->message()) : "";
    const std::string& why = verdicts_[i] ? verdict : failures_[i].empty() ? members[i].error : failures_[i];
    if (why.empty()) continue;
    const bool refused = !verdicts_[i] && failures_[i].empty() && members[i].state == EncoderState::kRefused;
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ",
                    Reason(members[i].address, refused ? absl::StrCat("refused, ", why) : why));
  }
  return reasons;
}

// Of those who have one.
Error FailOver::Verdict(const std::vector<Member>& members) const {
  std::string reasons;
  std::optional<absl::StatusCode> code;
  for (size_t i = 0; i < members.size(); ++i) {
    if (!verdicts_[i]) continue;
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ",
                    Reason(members[i].address, std::string(verdicts_[i]->message())));
    if (!code || Weight(verdicts_[i]->code()) > Weight(*code)) code = verdicts_[i]->code();
  }
  return Error(CodeOfAnswer(*code), reasons);
}

void FailOver::Say(const std::string& reason) {
  if (!on_waiting_ || reason == told_) return;
  told_ = reason;
  on_waiting_(reason);
}

}  // namespace

void CallAnEncoder(EncoderWatch& encoders, const EncoderCall& call, const EncoderCallLimits& limits,
                   const CancelToken& cancel, const std::function<void(const std::string& reason)>& on_waiting) {
  FailOver(encoders, call, limits, cancel, on_waiting).Run();
}

}  // namespace diptych
