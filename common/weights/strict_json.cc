#include "common/weights/strict_json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "common/error/error.h"
#include "common/error/json_mistake.h"

namespace diptych {

using nlohmann::json;

json ParseStrictJson(std::string_view text, const std::string& what, int max_depth,
                     std::vector<std::string>* repeated) {
  std::vector<std::set<std::string>> keys;  // of each open object or array
  std::string outermost;                    // the last key of the outermost object
  const auto check = [&](int, json::parse_event_t event, json& value) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        keys.emplace_back();
        if (keys.size() > static_cast<size_t>(max_depth)) {
          throw Error(ErrorCode::kDataLoss,
                      what + ": JSON nested deeper than " + std::to_string(max_depth) + " levels");
        }
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        keys.pop_back();
        break;
      case json::parse_event_t::key:
        if (keys.size() == 1) outermost = value.get<std::string>();
        if (!keys.back().insert(value.get<std::string>()).second) {
          if (repeated != nullptr && (keys.size() == 1 || outermost == "__metadata__" || outermost == "weight_map")) {
            repeated->push_back(value.get<std::string>());
            break;
          }
          // Escaped and cut: the key may hold anything.
          throw Error(ErrorCode::kDataLoss,
                      what + ": key " + value.dump(-1, ' ', true).substr(0, 200) + " appears twice");
        }
        break;
      case json::parse_event_t::value:
        break;
    }
    return true;
  };
  json parsed;
  try {
    parsed = json::parse(text.begin(), text.end(), check);
  } catch (const json::parse_error& error) {
    throw Error(ErrorCode::kDataLoss, what + ": not valid JSON: " + JsonMistake(error, text.size()));
  } catch (const json::exception&) {  // a number beyond a double's range
    throw Error(ErrorCode::kDataLoss, what + ": not valid JSON");
  }
  if (!parsed.is_object()) throw Error(ErrorCode::kDataLoss, what + ": expected a JSON object");
  return parsed;
}

}  // namespace diptych
