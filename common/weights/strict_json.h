// JSON from a file that somebody else wrote.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// Parses `text` as one JSON object. Unlike the library's own parser it refuses nesting deeper than `max_depth` (1: an
// object of plain values) and a repeated key, where readers would disagree about which value counts. With `repeated`
// keys of the outermost object and of its "__metadata__" or "weight_map" may come again, as in the reference's reader:
// the last counts, and their names are added to it. Throws Error(kDataLoss); the message begins with `what`, e.g. the
// file's name.
nlohmann::json ParseStrictJson(std::string_view text, const std::string& what, int max_depth,
                               std::vector<std::string>* repeated = nullptr);

}  // namespace diptych
