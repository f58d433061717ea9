// The boundary of a component: exceptions stop here and become absl::Status; and the way back, for those who ask others
// and throw what these answer.
#pragma once

#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/error/error.h"

namespace diptych {

// One table, both ways. Each error code is the status of its name. A status that is no error code's is the nearest one:
// OUT_OF_RANGE an invalid argument, ALREADY_EXISTS a failed precondition, ABORTED unavailable, UNKNOWN internal.
absl::StatusCode ToStatusCode(ErrorCode code);
ErrorCode ToErrorCode(absl::StatusCode code);  // of what is no failure, or has no name: kInternal

// "NOT_FOUND": the name of the code's status, as jobs and JSON have it.
std::string_view CodeName(ErrorCode code);
// By the name of any status but OK; nullopt: there is none of this name.
std::optional<ErrorCode> FindErrorCode(std::string_view name);

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

// The way back: throws Error of the status's meaning and message unless it is OK.
void ThrowUnlessOk(const absl::Status& status);

template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  ThrowUnlessOk(value.status());
  return *std::move(value);
}

}  // namespace diptych
