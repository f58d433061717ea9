// How long one Encode call may still take: work counts, waiting for others does not, and silence ends it.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace diptych {

// Thread-safe.
class EncodeClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  struct Terms {
    Duration work;           // that the encoder may take for the prompt
    Duration silence;        // of an encoder that tells its progress, while it is not at work
    bool told = false;       // whether it does; of one that does not all counts as work
    int most_a_second = 20;  // messages of progress
  };

  EncodeClock(const Terms& terms, Time now) : terms_(terms), begin_(now), working_(!terms.told), last_(now) {}

  // It says whether it works, and for how long it has so far; of that is believed what is possible. DATA_LOSS when it
  // says so too often.
  absl::Status Heard(bool working, std::chrono::milliseconds worked, Time now);

  // Why the call is to be given up: DEADLINE_EXCEEDED (too much work), UNAVAILABLE (silence). OK: not yet.
  absl::Status Check(Time now) const;

  // When Check will say so, unless something is heard until then.
  Time Over() const;

  // How long the call has taken without being worked on.
  Duration waited(Time now) const;

 private:
  Duration Worked(Time now) const;  // mutex_ is held

  const Terms terms_;
  const Time begin_;
  mutable std::mutex mutex_;  // guards all below
  bool working_ = false;      // as last said
  Time last_;                 // when something was last said
  Duration worked_{0};        // until then
  int64_t messages_ = 0;
};

}  // namespace diptych
