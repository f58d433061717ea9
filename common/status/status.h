// The boundary of a component: exceptions stop here and become absl::Status.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/error/error.h"

namespace diptych {

// The status of the same meaning and message, which is cut at kMessageBytes (common/foreign_text/foreign_text.h).
absl::Status ToStatus(const Error& error);

// The exception in flight, as a status: ours by code; std::bad_alloc as RESOURCE_EXHAUSTED; libtorch's out-of-memory
// messages as RESOURCE_EXHAUSTED; anything else as INTERNAL with the first line of its text.
// Call it inside a catch block only.
absl::Status StatusOfCurrentException();

// Runs `work` and returns its result as StatusOr<T> (Status for void). Nothing escapes.
template <typename Work>
auto Guard(Work&& work) {
  using T = std::invoke_result_t<Work>;
  if constexpr (std::is_void_v<T>) {
    try {
      std::forward<Work>(work)();
      return absl::OkStatus();
    } catch (...) {
      return StatusOfCurrentException();
    }
  } else {
    try {
      return absl::StatusOr<T>(std::forward<Work>(work)());
    } catch (...) {
      return absl::StatusOr<T>(StatusOfCurrentException());
    }
  }
}

}  // namespace diptych
