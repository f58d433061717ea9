// Errors as JSON; docs/json_output.md is the contract.
#pragma once

#include <exception>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "common/error/error.h"

namespace diptych {

// {"code": "NOT_FOUND", "message": "..."}; the code is a gRPC status name.
nlohmann::ordered_json ErrorJson(ErrorCode code, std::string_view message);

// Of what was caught: INTERNAL for what is no error of ours.
nlohmann::ordered_json ErrorJson(const std::exception& error);

}  // namespace diptych
