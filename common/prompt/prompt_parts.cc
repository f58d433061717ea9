#include "common/prompt/prompt_parts.h"

#include <type_traits>

#include "common/error/error.h"
#include "common/prompt/prompt_text.h"

namespace diptych {
namespace {

template <typename Visit>
void ForEachText(const PromptParts& parts, Visit&& visit) {
  ForEachPart(parts, [&](const char* field, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const std::string&>) visit(field, value);
  });
}

[[noreturn]] void Refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

}  // namespace

void CheckPromptParts(const std::string& name, const PromptParts& parts, int64_t byte_limit) {
  size_t bytes = 0;
  ForEachText(parts, [&](const char*, const std::string& text) { bytes += text.size(); });
  if (static_cast<int64_t>(bytes) > byte_limit) {
    Refuse(name + " has " + std::to_string(bytes) + " bytes, the limit is " + std::to_string(byte_limit));
  }
  ForEachText(parts, [&](const char* field, const std::string& text) { CheckUtf8(name + "." + field, text); });
  const PromptParts alone{.conversation_json = parts.conversation_json};
  if (!parts.conversation_json.empty() && parts != alone) {
    Refuse(name + ".conversation_json is the whole conversation; the other fields of " + name + " must then be unset");
  }
}

}  // namespace diptych
