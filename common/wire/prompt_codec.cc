#include "common/wire/prompt_codec.h"

namespace diptych {

v1::Prompt ToProto(const PromptParts& parts) {
  v1::Prompt prompt;
  prompt.set_user(parts.user);
  if (!parts.system.empty()) prompt.set_system(parts.system);
  prompt.set_thinking(parts.thinking);
  prompt.set_assistant(parts.assistant);
  prompt.set_force_think_block(parts.force_think_block);
  prompt.set_remove_quotes(parts.remove_quotes);
  prompt.set_keep_whitespace(parts.keep_whitespace);
  prompt.set_conversation_json(parts.conversation_json);
  return prompt;
}

absl::StatusOr<PromptParts> FromProto(const v1::Prompt& prompt) {
  if (!prompt.template_name().empty()) {
    return absl::InvalidArgumentError(
        "template_name is reserved: templates are expanded where a job is submitted, send the parts of the prompt");
  }
  return PromptParts{.user = prompt.user(),
                     .system = prompt.system(),
                     .thinking = prompt.thinking(),
                     .assistant = prompt.assistant(),
                     .force_think_block = prompt.force_think_block(),
                     .remove_quotes = prompt.remove_quotes(),
                     .keep_whitespace = prompt.keep_whitespace(),
                     .conversation_json = prompt.conversation_json()};
}

}  // namespace diptych
