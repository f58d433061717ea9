// Foreign text as JSON: parsed within the bounds, or refused with an Error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/error/error.h"
#include "common/json/bounded_json.h"

namespace {

// Of a value that was parsed, against what the look over the text let through.
size_t DepthOf(const nlohmann::json& value) {
  size_t depth = 0;
  if (!value.is_structured()) return 0;
  for (const nlohmann::json& inner : value) depth = std::max(depth, DepthOf(inner));
  return depth + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const diptych::JsonBounds bounds{.bytes = 1 << 16, .depth = 8, .values = 1000, .members = 500};
  const nlohmann::json value = diptych::JsonOrDiscarded(text, bounds);
  if (DepthOf(value) > bounds.depth || value.size() > bounds.members + 1) std::abort();
  try {
    diptych::ParseOrderedJson(text, bounds);
  } catch (const diptych::JsonError&) {
  }
  try {
    diptych::ParseStrictJson(text, "file", bounds);
  } catch (const diptych::Error&) {
  }
  return 0;
}
