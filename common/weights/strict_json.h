// JSON from a file that somebody else wrote.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace diptych {

// Parses `text` as one JSON object. Unlike the library's own parser it refuses a repeated key, where readers would
// disagree about which value counts, and nesting deeper than `max_depth` (1: an object of plain values). Throws
// Error(kDataLoss); the message begins with `what`, e.g. the file's name.
nlohmann::json ParseStrictJson(std::string_view text, const std::string& what, int max_depth);

}  // namespace diptych
