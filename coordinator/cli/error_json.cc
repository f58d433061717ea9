#include "coordinator/cli/error_json.h"

#include <nlohmann/json.hpp>

#include "common/error/error.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/job_follower.h"

namespace diptych {
namespace {

std::string_view CodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case ErrorCode::kNotFound:
      return "NOT_FOUND";
    case ErrorCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case ErrorCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case ErrorCode::kUnavailable:
      return "UNAVAILABLE";
    case ErrorCode::kDataLoss:
      return "DATA_LOSS";
    case ErrorCode::kCancelled:
      return "CANCELLED";
    case ErrorCode::kInternal:
      break;
  }
  return "INTERNAL";
}

}  // namespace

nlohmann::ordered_json ErrorJson(std::string_view code, std::string_view message) {
  return {{"code", std::string(code)}, {"message", std::string(message)}};
}

nlohmann::ordered_json ErrorJson(const std::exception& error) {
  if (dynamic_cast<const UsageError*>(&error) != nullptr) return ErrorJson("INVALID_ARGUMENT", error.what());
  if (const auto* ended = dynamic_cast<const JobNotDone*>(&error); ended != nullptr && !ended->job.error_code.empty()) {
    return ErrorJson(ended->job.error_code, error.what());
  }
  if (const auto* known = dynamic_cast<const Error*>(&error)) return ErrorJson(CodeName(known->code()), error.what());
  return ErrorJson("INTERNAL", error.what());
}

}  // namespace diptych
