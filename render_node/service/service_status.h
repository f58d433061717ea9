// What several calls of the render daemon answer.
#pragma once

#include "absl/status/status.h"

namespace diptych {

inline absl::Status ClientHasLeft() { return absl::CancelledError("the client has left"); }

inline absl::Status IsStopping() {
  return absl::UnavailableError("the render daemon is stopping; try again when it is back");
}

}  // namespace diptych
