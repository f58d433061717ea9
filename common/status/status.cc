#include "common/status/status.h"

#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "common/foreign_text/foreign_text.h"

namespace diptych {
namespace {

absl::StatusCode ToStatusCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return absl::StatusCode::kInvalidArgument;
    case ErrorCode::kNotFound:
      return absl::StatusCode::kNotFound;
    case ErrorCode::kFailedPrecondition:
      return absl::StatusCode::kFailedPrecondition;
    case ErrorCode::kResourceExhausted:
      return absl::StatusCode::kResourceExhausted;
    case ErrorCode::kUnavailable:
      return absl::StatusCode::kUnavailable;
    case ErrorCode::kDataLoss:
      return absl::StatusCode::kDataLoss;
    case ErrorCode::kCancelled:
      return absl::StatusCode::kCancelled;
    case ErrorCode::kInternal:
      return absl::StatusCode::kInternal;
  }
  return absl::StatusCode::kInternal;
}

// libtorch puts a stack trace behind the first line of its messages.
std::string FirstLine(std::string_view text) { return CutMessage(text.substr(0, text.find('\n'))); }

}  // namespace

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
      return absl::UnavailableError(std::string("the system gives no more threads now: ") + error.what());
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

}  // namespace diptych
