// A pause that a cancellation ends.
#pragma once

#include <chrono>

#include "common/concurrency/cancel_token.h"

namespace diptych {

// Sleeps, but no longer than until `cancel` is cancelled. False: it was.
bool SleepUnlessCancelled(std::chrono::steady_clock::duration duration, const CancelToken& cancel);

}  // namespace diptych
