// An encoder for the time of one call to it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "render_node/conditioning/conditioning_key.h"
#include "render_node/conditioning/encode_clock.h"

namespace diptych {

inline constexpr std::chrono::milliseconds kLeastBusy{50}, kMostBusy{5000};

// How long a busy encoder wants to be left alone, from kLeastBusy to kMostBusy; nothing for another status.
std::optional<EncodeClock::Duration> BusyFor(const absl::Status& status);

struct EncoderConnection {
  v1::Encoder::StubInterface& stub;
  const EncoderIdentity& identity;  // as it said, which is the pool's
  EncodeClock::Terms terms;         // for as long as the call may take
  // For calls that tell of their progress, on the thread of the call. About how many have their turn before this one;
  // nothing: it is at work. May throw, which ends the call.
  std::function<void(std::optional<int32_t> ahead)> on_progress;
  // With every word of progress, and how long the call has waited: whether to leave it there, which the call then says
  // by a status with BusyFor.
  std::function<bool(bool working, EncodeClock::Duration waited)> leaves;

  // FAILED_PRECONDITION naming both sides unless what it sent is of `identity`.
  absl::Status CheckSent(const EncoderIdentity& sent) const;
};

}  // namespace diptych
