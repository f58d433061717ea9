// Errors inside components that know neither abseil nor gRPC: the model libraries and everything they stand on.
#pragma once

#include <stdexcept>
#include <string>

namespace diptych {

// What the caller should do about an error; each is the gRPC status of the same name, and those without a name here
// have one to stand for them (common/error/status.h).
enum class ErrorCode {
  kInvalidArgument,     // fix the request
  kNotFound,            // the thing named does not exist
  kFailedPrecondition,  // wrong pairing: model, width or dtype
  kPermissionDenied,    // somebody else may do it
  kUnauthenticated,     // say who you are
  kResourceExhausted,   // retry later
  kUnavailable,         // try another node
  kDeadlineExceeded,    // it took longer than it may; allow more, or try another node
  kUnimplemented,       // the peer has no such thing: it is older, or something else
  kDataLoss,            // bytes are damaged or incomplete
  kCancelled,           // somebody asked for it
  kInternal,            // our bug; the last one
};

// Thrown by model code and parsers; turned into absl::Status at the boundary of each component (diptych::Guard).
// The message is one line that says what was wrong and what would be right.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace diptych
