// One call to whichever encoder of a pool can answer it: the one that is up and has the fewest, and when it fails
// another one. What is asked is the caller's.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/concurrency/cancel_token.h"

namespace diptych {

struct EncoderConnection;
class EncoderWatch;

struct EncoderCall {
  // Asks this encoder and keeps what it answers; then another one, when that failed. The status is that of the encoder
  // or of gRPC, or the caller's own judgement of the answer; what it throws ends the whole.
  std::function<absl::Status(const EncoderConnection& encoder)> ask;
  // Only rows show what an encoder is worth: other answers, and other calls that it fails, neither end nor begin doubt.
  bool gives_rows = false;
};

struct EncoderCallLimits {
  std::chrono::milliseconds work{600'000};  // at one encoder; waiting for others does not count
  // How long to wait while no encoder at all answers; then also how long for one that is loading: `work`. 0 or less:
  // both for as long as it takes.
  std::chrono::milliseconds unreachable_patience{0};
  // An encoder that tells its progress and says nothing for so long, while it does not work, is lost.
  std::chrono::milliseconds silence{30'000};
  // In line at one for so long, another that is up is asked.
  std::chrono::milliseconds longest_line{15'000};
  // When some have refused: how long to wait for one that is not there now and might not. Then also how long memory may
  // be short at an encoder before that counts as refused. At most `work`.
  std::chrono::milliseconds second_opinion{60'000};
};

// Returns once a call has given OK. A busy encoder, or one that is not there, is waited for, and `on_waiting` (may be
// empty) hears of it, on this thread; an empty line says that one seems to work on it again. Throws Error as
// EncoderPool::Fetch says, and kCancelled soon after `cancel` is set.
void CallAnEncoder(EncoderWatch& encoders, const EncoderCall& call, const EncoderCallLimits& limits,
                   const CancelToken& cancel, const std::function<void(const std::string& reason)>& on_waiting);

}  // namespace diptych
