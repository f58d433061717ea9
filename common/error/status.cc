#include "common/error/status.h"

#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "common/foreign_text/foreign_text.h"

namespace diptych {
namespace {

struct Row {
  absl::StatusCode status;
  std::string_view name;
  ErrorCode error;
};

// The first row of an error code is its own.
constexpr Row kTable[] = {
    {absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT", ErrorCode::kInvalidArgument},
    {absl::StatusCode::kNotFound, "NOT_FOUND", ErrorCode::kNotFound},
    {absl::StatusCode::kFailedPrecondition, "FAILED_PRECONDITION", ErrorCode::kFailedPrecondition},
    {absl::StatusCode::kPermissionDenied, "PERMISSION_DENIED", ErrorCode::kPermissionDenied},
    {absl::StatusCode::kUnauthenticated, "UNAUTHENTICATED", ErrorCode::kUnauthenticated},
    {absl::StatusCode::kResourceExhausted, "RESOURCE_EXHAUSTED", ErrorCode::kResourceExhausted},
    {absl::StatusCode::kUnavailable, "UNAVAILABLE", ErrorCode::kUnavailable},
    {absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED", ErrorCode::kDeadlineExceeded},
    {absl::StatusCode::kUnimplemented, "UNIMPLEMENTED", ErrorCode::kUnimplemented},
    {absl::StatusCode::kDataLoss, "DATA_LOSS", ErrorCode::kDataLoss},
    {absl::StatusCode::kCancelled, "CANCELLED", ErrorCode::kCancelled},
    {absl::StatusCode::kInternal, "INTERNAL", ErrorCode::kInternal},
    // Statuses without an error code.
    {absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", ErrorCode::kInvalidArgument},
    {absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", ErrorCode::kFailedPrecondition},
    {absl::StatusCode::kAborted, "ABORTED", ErrorCode::kUnavailable},
    {absl::StatusCode::kUnknown, "UNKNOWN", ErrorCode::kInternal},
};

// The row of an error code; of none of ours that of kInternal.
constexpr const Row& RowOf(ErrorCode code) {
  const Row* internal = nullptr;
  for (const Row& row : kTable) {
    if (row.error == code) return row;
    if (row.error == ErrorCode::kInternal && internal == nullptr) internal = &row;
  }
  return *internal;
}

constexpr bool EachErrorCodeHasARow() {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    if (RowOf(static_cast<ErrorCode>(code)).error != static_cast<ErrorCode>(code)) return false;
  }
  return true;
}
static_assert(EachErrorCodeHasARow());

// libtorch puts a stack trace behind the first line of its messages.
std::string FirstLine(std::string_view text) { return CutMessage(text.substr(0, text.find('\n'))); }

}  // namespace

absl::StatusCode ToStatusCode(ErrorCode code) { return RowOf(code).status; }

ErrorCode ToErrorCode(absl::StatusCode code) {
  for (const Row& row : kTable) {
    if (row.status == code) return row.error;
  }
  return ErrorCode::kInternal;
}

std::string_view CodeName(ErrorCode code) { return RowOf(code).name; }

std::optional<ErrorCode> FindErrorCode(std::string_view name) {
  for (const Row& row : kTable) {
    if (row.name == name) return row.error;
  }
  return std::nullopt;
}

absl::Status ToStatus(const Error& error) { return absl::Status(ToStatusCode(error.code()), CutMessage(error.what())); }

absl::Status StatusOfCurrentException() {
  try {
    throw;
  } catch (const Error& error) {
    return ToStatus(error);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again) {  // std::thread's
      return absl::UnavailableError(std::string("the system gives no more threads now (ulimit -u, ulimit -v or TasksMax): ") + error.what());
    }
    return absl::InternalError(error.what());
  } catch (const std::exception& error) {
    const std::string line = FirstLine(error.what());
    if (line.find("out of memory") != std::string::npos || line.find("can't allocate memory") != std::string::npos) {
      return absl::ResourceExhaustedError(line);
    }
    return absl::InternalError(line);
  } catch (...) {
    return absl::InternalError("an exception of unknown type");
  }
}

void ThrowUnlessOk(const absl::Status& status) {
  if (!status.ok()) throw Error(ToErrorCode(status.code()), std::string(status.message()));
}

}  // namespace diptych
