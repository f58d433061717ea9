// How long work lets others in: between two of its pieces, on its own thread, it calls a pause.
#pragma once

#include <functional>

#include "common/concurrency/cancel_token.h"

namespace diptych {

// What it throws ends the work. It may take its time, as one does who lets others have a turn. Empty: nobody looks.
using Pause = std::function<void()>;

// Throws Error(kCancelled) once the token is set.
inline Pause LeaveIfCancelled(const CancelToken& cancel) {
  return [cancel] { cancel.ThrowIfCancelled(); };
}

}  // namespace diptych
