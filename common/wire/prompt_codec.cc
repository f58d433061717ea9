#include "common/wire/prompt_codec.h"

namespace diptych {

v1::Prompt ToProto(const PromptParts& parts) {
  v1::Prompt prompt;
  prompt.set_user(parts.user);
  if (parts.system) prompt.set_system(*parts.system);
  prompt.set_thinking(parts.thinking);
  prompt.set_assistant(parts.assistant);
  prompt.set_force_think_block(parts.force_think_block);
  prompt.set_remove_quotes(parts.remove_quotes);
  prompt.set_keep_whitespace(!parts.clean_whitespace);
  return prompt;
}

PromptParts PromptPartsFromProto(const v1::Prompt& prompt) {
  PromptParts parts;
  parts.user = prompt.user();
  if (prompt.has_system()) parts.system = prompt.system();
  parts.thinking = prompt.thinking();
  parts.assistant = prompt.assistant();
  parts.force_think_block = prompt.force_think_block();
  parts.remove_quotes = prompt.remove_quotes();
  parts.clean_whitespace = !prompt.keep_whitespace();
  return parts;
}

bool HasPromptParts(const v1::Prompt& prompt) {
  return !prompt.user().empty() || prompt.has_system() || !prompt.thinking().empty() || !prompt.assistant().empty() ||
         prompt.force_think_block() || prompt.remove_quotes() || prompt.keep_whitespace();
}

}  // namespace diptych
