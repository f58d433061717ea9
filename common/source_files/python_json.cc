#include "common/source_files/python_json.h"

namespace diptych {

std::string NumbersOfPythonAsNull(std::string_view text) {
  std::string json;
  json.reserve(text.size() + 16);
  bool in_string = false;
  while (!text.empty()) {
    size_t taken = 1;
    if (text[0] == '"') {
      in_string = !in_string;
    } else if (in_string && text[0] == '\\' && text.size() > 1) {
      taken = 2;
    } else if (!in_string) {
      for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
        if (!text.starts_with(word)) continue;
        json += "null";
        taken = word.size();
        break;
      }
      if (taken > 1) {
        text.remove_prefix(taken);
        continue;
      }
    }
    json += text.substr(0, taken);
    text.remove_prefix(taken);
  }
  return json;
}

}  // namespace diptych
