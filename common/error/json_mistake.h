// Where a text stops being JSON, in words.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace diptych {

// "it ends too early", or "wrong at byte 7"; bytes count from 1, `size` is the text's.
inline std::string JsonMistake(const nlohmann::json::parse_error& error, size_t size) {
  return error.byte > size ? "it ends too early" : "wrong at byte " + std::to_string(error.byte);
}

}  // namespace diptych
