#include "coordinator/cli/error_json.h"

#include <nlohmann/json.hpp>

#include "common/error/error.h"
#include "common/status/status.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/job_follower.h"

namespace diptych {

nlohmann::ordered_json ErrorJson(std::string_view code, std::string_view message) {
  return {{"code", std::string(code)}, {"message", std::string(message)}};
}

nlohmann::ordered_json ErrorJson(const std::exception& error) {
  if (dynamic_cast<const UsageError*>(&error) != nullptr) {
    return ErrorJson(CodeName(ErrorCode::kInvalidArgument), error.what());
  }
  if (const auto* ended = dynamic_cast<const JobNotDone*>(&error); ended != nullptr && !ended->job.error_code.empty()) {
    return ErrorJson(ended->job.error_code, error.what());
  }
  if (const auto* known = dynamic_cast<const Error*>(&error)) return ErrorJson(CodeName(known->code()), error.what());
  return ErrorJson(CodeName(ErrorCode::kInternal), error.what());
}

}  // namespace diptych
