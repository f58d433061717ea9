#include "coordinator/order/error_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "common/error/status.h"

namespace diptych {

nlohmann::ordered_json ErrorJson(ErrorCode code, std::string_view message) {
  return {{"code", std::string(CodeName(code))}, {"message", std::string(message)}};
}

nlohmann::ordered_json ErrorJson(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  return ErrorJson(known != nullptr ? known->code() : ErrorCode::kInternal, error.what());
}

}  // namespace diptych
