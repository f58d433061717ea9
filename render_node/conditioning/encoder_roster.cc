#include "render_node/conditioning/encoder_roster.h"

#include <algorithm>

namespace diptych {
namespace {

std::string Digits(const std::string& fingerprint) { return fingerprint.substr(0, 12); }

}  // namespace

std::string_view EncoderStateName(EncoderState state) {
  switch (state) {
    case EncoderState::kUnknown:
      return "unknown";
    case EncoderState::kUp:
      return "up";
    case EncoderState::kLoading:
      return "loading";
    case EncoderState::kDown:
      return "down";
    case EncoderState::kRefused:
      return "refused";
  }
  return "unknown";
}

EncoderRoster::EncoderRoster(EncoderRosterOptions options) : options_(std::move(options)) {
  for (const std::string& address : options_.addresses) {
    Member& member = members_.emplace_back();
    member.address = address;
    member.pause = options_.first_pause;
  }
}

std::optional<size_t> EncoderRoster::Pick(const std::vector<bool>& tried, Time now) const {
  const auto order = [&](size_t i) {
    const Member& member = members_[i];
    const bool later = (!member.doubt.empty() && now < member.trial) || now < member.busy_until;
    return std::pair(later, member.in_flight);
  };
  std::optional<size_t> best;
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].state != EncoderState::kUp || tried[i]) continue;
    if (!best || order(i) < order(*best)) best = i;
  }
  return best;
}

void EncoderRoster::CallBegan(size_t encoder, Time now) {
  Member& member = members_[encoder];
  ++member.in_flight;
  if (!member.doubt.empty()) member.trial = now + member.doubt_pause;
}

void EncoderRoster::Contradicted(size_t encoder, const std::string& why, Time now) {
  Member& member = members_[encoder];
  if (member.doubt.empty()) {
    member.doubt_pause = options_.first_doubt;
    Tell(member, LogLevel::kWarning,
         "encoder " + member.address +
             " is in doubt, and asked last until it gives rows: another one gave them where " + "it said: " + why,
         now);
  } else {
    member.doubt_pause = std::min(2 * member.doubt_pause, options_.longest_doubt);
  }
  member.doubt = why;
  member.trial = now + member.doubt_pause;
}

void EncoderRoster::CallEnded(size_t encoder, Outcome outcome, const std::string& why, Time now) {
  Member& member = members_[encoder];
  --member.in_flight;
  switch (outcome) {
    case Outcome::kCancelled:
    case Outcome::kBusy:
      return;
    case Outcome::kDone:
      proven_ = proven_ || member.identity == identity_;
      if (!member.doubt.empty()) {
        member.doubt.clear();
        Tell(member, LogLevel::kInfo, "encoder " + member.address + " gives rows again", now);
      }
      [[fallthrough]];
    case Outcome::kAnswered:
    case Outcome::kBelieved:
      member.failures = 0;
      member.pause = options_.first_pause;
      if (member.state == EncoderState::kDown && member.reachable) Settle(member, EncoderState::kUp, "", now);
      if (outcome == Outcome::kBelieved) TryAnotherIdentity(member, now);
      return;
    case Outcome::kNotNow:
      if (member.state == EncoderState::kUp) Settle(member, EncoderState::kLoading, why, now);
      LookNow(encoder, now);
      return;
    case Outcome::kLost:
      member.reachable = false;
      if (member.state == EncoderState::kUp) Settle(member, EncoderState::kDown, why, now);
      LookNow(encoder, now);
      break;
    case Outcome::kBroken:
      TryAnotherIdentity(member, now);
      break;
  }
  if (++member.failures != kMostFailures) return;
  member.opened = now;
  if (member.state != EncoderState::kRefused) {
    Settle(member, EncoderState::kDown, std::to_string(kMostFailures) + " calls in a row failed, the last: " + why,
           now);
  }
  PauseBeforeNextLook(member, now);
}

void EncoderRoster::Answered(size_t encoder, const EncoderIdentity& identity, int64_t width, Time asked, Time now,
                             bool tells_progress) {
  Member& member = members_[encoder];
  const bool news = member.identity != identity;
  member.reachable = true;
  member.tells_progress = tells_progress;
  member.identity = identity;
  member.width = width;
  if (member.failures >= kMostFailures && asked < member.opened) {  // the next look decides
    return EndLook(member, asked, member.next_look);
  }
  EndLook(member, asked, now + options_.check_interval);
  if (member.failures == 0) member.pause = options_.first_pause;
  member.failures = std::min(member.failures, kMostFailures - 1);

  if (std::string unfit = Unfit(member); !unfit.empty()) return Settle(member, EncoderState::kRefused, unfit, now);
  if (!identity_) identity_ = identity;
  const bool remembered = !proven_ && options_.remembered == identity;
  if (identity != *identity_ && (remembered || (news && MayAdopt(identity)))) {
    Tell(member, LogLevel::kWarning,
         "the encoders have another model now: encoder " + member.address + ": " +
             IdentityDifference(identity, *identity_) + " until now; from here on its own counts",
         now);
    Adopt(identity, now);
  }
  proven_ = proven_ || options_.remembered == *identity_;
  const std::string difference = IdentityDifference(identity, *identity_);
  Settle(member, difference.empty() ? EncoderState::kUp : EncoderState::kRefused, difference, now);
}

void EncoderRoster::NotAnswered(size_t encoder, EncoderState state, const std::string& why, Time asked, Time now) {
  Member& member = members_[encoder];
  member.reachable = false;
  Settle(member, state, why, now);
  if (state == EncoderState::kLoading) {
    member.next_look = now + options_.loading_pause;
  } else {
    PauseBeforeNextLook(member, now);
  }
  EndLook(member, asked, member.next_look);
}

bool EncoderRoster::AnyMayComeSoon() const {
  return std::any_of(members_.begin(), members_.end(), [](const Member& member) {
    return member.state == EncoderState::kUnknown || member.state == EncoderState::kUp ||
           member.state == EncoderState::kLoading || (member.state == EncoderState::kDown && member.reachable);
  });
}

bool EncoderRoster::AnyIs(EncoderState state) const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& member) { return member.state == state; });
}

bool EncoderRoster::AllAre(EncoderState state) const {
  return std::all_of(members_.begin(), members_.end(), [&](const Member& member) { return member.state == state; });
}

// Why it can never belong to this pool; empty when it can.
std::string EncoderRoster::Unfit(const Member& member) const {
  if (options_.expected_width != 0 && member.width != options_.expected_width) {
    return "its rows are " + std::to_string(member.width) + " values wide, this renderer's transformer takes " +
           std::to_string(options_.expected_width);
  }
  const std::string& expected = options_.expected_model_fingerprint;
  if (!expected.empty() && member.identity->model_fingerprint != expected) {
    return "its model is " + Digits(member.identity->model_fingerprint) + ", this pool's is " + Digits(expected) +
           " by configuration";
  }
  return "";
}

bool EncoderRoster::MayAdopt(const EncoderIdentity& identity) const {
  return std::all_of(members_.begin(), members_.end(), [&](const Member& member) {
    return !member.reachable || member.identity == identity || !Unfit(member).empty();
  });
}

// All that answer, by that identity.
void EncoderRoster::Adopt(const EncoderIdentity& identity, Time now) {
  proven_ = false;
  identity_ = identity;
  for (Member& member : members_) {
    if (!member.reachable || !Unfit(member).empty()) continue;
    if (member.state != EncoderState::kRefused && member.state != EncoderState::kUp) continue;
    const std::string difference = IdentityDifference(*member.identity, identity);
    Settle(member, difference.empty() ? EncoderState::kUp : EncoderState::kRefused, difference, now);
  }
}

// A call failed there, and none of that identity has ever given rows.
void EncoderRoster::TryAnotherIdentity(Member& failed, Time now) {
  if (proven_) return;
  for (const Member& member : members_) {
    if (!member.reachable || member.state != EncoderState::kRefused || !Unfit(member).empty()) continue;
    const EncoderIdentity identity = *member.identity;
    Tell(failed, LogLevel::kWarning,
         "encoder " + failed.address + " fails and has given no rows yet: encoder " + member.address +
             " counts from here on, " + IdentityDifference(identity, *identity_) +
             " until now (--encoder-fingerprint keeps to one)",
         now);
    return Adopt(identity, now);
  }
}

void EncoderRoster::Settle(Member& member, EncoderState state, const std::string& error, Time now) {
  const bool changes = member.state != state || (state == EncoderState::kRefused && member.error != error);
  const bool first = member.state == EncoderState::kUnknown;
  member.state = state;
  member.error = error;
  if (!changes || first) return;
  const LogLevel level =
      state == EncoderState::kUp || state == EncoderState::kLoading ? LogLevel::kInfo : LogLevel::kWarning;
  Tell(
      member, level,
      "encoder " + member.address + " is " + std::string(EncoderStateName(state)) + (error.empty() ? "" : ": " + error),
      now);
}

void EncoderRoster::Tell(Member& about, LogLevel level, const std::string& text, Time now) {
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - about.lines_since).count();
  about.lines = std::min<double>(kLinesAtOnce, about.lines + std::max(minutes, 0.0));
  about.lines_since = now;
  if (about.lines < 1) {
    ++about.lines_left_out;
    return;
  }
  about.lines -= 1;
  const int left_out = std::exchange(about.lines_left_out, 0);
  events_.emplace_back(
      level, text + (left_out == 0 ? "" : " (" + std::to_string(left_out) + " lines about it were left out)"));
}

void EncoderRoster::EndLook(Member& member, Time asked, Time next) {
  member.last_look = asked;
  member.next_look = asked < member.wanted ? member.wanted : next;
}

void EncoderRoster::PauseBeforeNextLook(Member& member, Time now) {
  member.next_look = now + member.pause;
  member.pause = std::min(2 * member.pause, options_.longest_pause);
}

}  // namespace diptych
