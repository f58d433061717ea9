// What a pool knows of its encoders, and what follows from it: whom to ask, whom to leave alone, which model counts.
// Plain state: no threads, no clock and no protocol.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/log/log.h"
#include "render_node/conditioning/conditioning_key.h"

namespace diptych {

enum class EncoderState {
  kUnknown,  // not asked yet
  kUp,
  kLoading,  // it answers that it cannot yet (or no longer)
  kDown,     // it does not answer, or its calls break
  kRefused,  // it answers and does not belong here
};
std::string_view EncoderStateName(EncoderState state);  // "unknown", "up", "loading", "down", "refused"

struct EncoderRosterOptions {
  std::vector<std::string> addresses;
  int64_t expected_width = 0;                        // 0: any
  std::string expected_model_fingerprint;            // empty: that of the first encoder that answers
  std::chrono::milliseconds check_interval{10'000};  // between two looks at one that is up or refused
  std::chrono::milliseconds loading_pause{250};      // at one that is loading
  std::chrono::milliseconds first_pause{500};        // at one that is down; doubles with every look ...
  std::chrono::milliseconds longest_pause{10'000};   // ... up to this
  std::chrono::milliseconds first_doubt{10'000};     // before one in doubt is tried again; doubles ...
  std::chrono::milliseconds longest_doubt{600'000};  // ... up to this
  std::optional<EncoderIdentity> remembered;         // of an earlier life: counts before that of the first that answers
};

// Not thread-safe. Encoders are named by their place in `addresses`.
//
// Identity: the first encoder that answers decides model, tokenizer and number format; another one is refused. When an
// encoder is seen with an identity that it did not have before, all that answer agree on it and none with the old one
// answers, the operator has replaced the model: that identity is the pool's from then on.
//
// Until an encoder has given rows nobody knows whether that identity was worth anything: when one that has it fails a
// call, another one that was refused for its identity alone takes its place.
//
// Doubt: an encoder that failed a call which another one then answered with rows is in doubt. It is asked last, but for
// one call after each pause, which doubles; rows of its own end that.
//
// Circuit: after kMostFailures broken calls in a row an encoder is left alone until a look at it, asked for later than
// the last of them, is answered. One more broken call then suffices, and the pause before the next look is twice as
// long.
//
// Log: of each encoder kLinesAtOnce lines and then one a minute; the next says how many were left out. One that is good
// and bad by turns would write two for each job.
class EncoderRoster {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr int kMostFailures = 3;
  static constexpr int kLinesAtOnce = 20;

  struct Member {
    std::string address;
    EncoderState state = EncoderState::kUnknown;
    std::string error;                        // unless it is up: why
    bool reachable = false;                   // the last look was answered
    std::optional<EncoderIdentity> identity;  // as last answered
    int64_t width = 0;                        // the same
    int in_flight = 0;                        // our calls
    int failures = 0;                         // broken calls in a row
    std::chrono::milliseconds pause{0};       // before the next look at it while it is down
    Time next_look{};
    Time last_look{};                          // when the last one that has ended was asked for
    Time wanted{};                             // one that was asked for earlier does not do
    Time opened{};                             // when its circuit was opened
    bool tells_progress = false;               // as last answered
    std::string doubt;                         // what it said last where another gave rows; empty: none
    std::chrono::milliseconds doubt_pause{0};  // between two calls while it is in doubt
    Time trial{};                              // when the next of these is due
    Time busy_until{};                         // as it said
    double lines = kLinesAtOnce;               // for the log, that are left to it ...
    Time lines_since{};                        // ... as of then
    int lines_left_out = 0;
  };

  // How a call ended.
  enum class Outcome {
    kDone,       // with rows
    kAnswered,   // without rows, whatever it said: the encoder works, and no more is known
    kBelieved,   // with an error where rows were asked for: the encoder works
    kNotNow,     // it answered that it cannot yet
    kBusy,       // its line is full or long: others are asked first for a moment
    kLost,       // the connection broke, or there was none
    kBroken,     // with nonsense, with an internal error, or not in time
    kCancelled,  // by us
  };

  explicit EncoderRoster(EncoderRosterOptions options);

  const std::vector<Member>& members() const { return members_; }
  const std::optional<EncoderIdentity>& identity() const { return identity_; }

  // The encoder that is up, not in `tried`, not busy nor in doubt if there is another, and has the fewest calls in
  // flight; the first of equals.
  std::optional<size_t> Pick(const std::vector<bool>& tried, Time now) const;

  void CallBegan(size_t encoder, Time now);
  void CallEnded(size_t encoder, Outcome outcome, const std::string& why, Time now);

  // It failed a call with `why`, and another one gave rows for the same request.
  void Contradicted(size_t encoder, const std::string& why, Time now);
  // It said that it can take no more until then.
  void BusyUntil(size_t encoder, Time until) { members_[encoder].busy_until = until; }

  // What a look at an encoder, begun at `asked`, has shown.
  void Answered(size_t encoder, const EncoderIdentity& identity, int64_t width, Time asked, Time now,
                bool tells_progress = false);
  void NotAnswered(size_t encoder, EncoderState state, const std::string& why, Time asked, Time now);

  // Makes a look due that is asked for at `now` or later.
  void LookNow(size_t encoder, Time now) { members_[encoder].next_look = members_[encoder].wanted = now; }

  // Whether waiting may help although nothing is up: one is there and not refused, or was not asked yet.
  bool AnyMayComeSoon() const;
  bool AnyIs(EncoderState state) const;
  bool AllAre(EncoderState state) const;

  // Lines for the log since the last call. What the first look at an encoder shows is not among them, unless it is
  // about the pool's identity.
  std::vector<std::pair<LogLevel, std::string>> TakeEvents() { return std::exchange(events_, {}); }

 private:
  std::string Unfit(const Member& member) const;
  bool MayAdopt(const EncoderIdentity& identity) const;
  void Adopt(const EncoderIdentity& identity, Time now);
  void TryAnotherIdentity(Member& failed, Time now);
  void Settle(Member& member, EncoderState state, const std::string& error, Time now);
  void Tell(Member& about, LogLevel level, const std::string& text, Time now);
  void PauseBeforeNextLook(Member& member, Time now);
  static void EndLook(Member& member, Time asked, Time next);

  const EncoderRosterOptions options_;
  std::vector<Member> members_;
  std::optional<EncoderIdentity> identity_;
  bool proven_ = false;  // an encoder of that identity has given rows
  std::vector<std::pair<LogLevel, std::string>> events_;
};

}  // namespace diptych
