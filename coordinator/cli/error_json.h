// Errors as JSON; docs/json_output.md is the contract.
#pragma once

#include <exception>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace diptych {

// {"code": "NOT_FOUND", "message": "..."}; the code is a gRPC status name.
nlohmann::ordered_json ErrorJson(std::string_view code, std::string_view message);

// Of what was caught: a job's own code where it failed, INVALID_ARGUMENT for wrong usage, INTERNAL for what is no error
// of ours.
nlohmann::ordered_json ErrorJson(const std::exception& error);

}  // namespace diptych
