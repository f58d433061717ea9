// From the parts of a prompt to the text that the tokenizer reads: Qwen3's chat format (behaviours.md 1.4 to 1.6).
#pragma once

#include <optional>
#include <string>

#include "common/prompt/conversation.h"

namespace diptych {

// What a user can say for one picture. Empty and missing parts are the same; an empty user prompt is valid.
struct PromptParts {
  std::string user = {};
  std::optional<std::string> system = {};
  std::string thinking = {};   // inside the think block
  std::string assistant = {};  // the beginning of the assistant's answer

  bool force_think_block = false;  // an empty think block when there is no thinking
  bool clean_whitespace = true;    // CleanWhitespace on every part
  bool remove_quotes = false;      // then RemoveQuotes on every part
};

// One turn each: system (if any), user, assistant. Thinking is enabled by thinking text or by force_think_block.
// Throws Error(kInvalidArgument) naming the part that is not valid UTF-8.
Conversation BuildConversation(const PromptParts& parts);

// The turns joined by line feeds, nothing after the last. Text is inserted as it is: control tokens that a user types
// reach the tokenizer as control tokens, as in the reference.
std::string FormatConversation(const Conversation& conversation);

// FormatConversation(BuildConversation(parts)). With the defaults this is the official prompt of Z-Image:
// "<|im_start|>user\n" prompt "<|im_end|>\n<|im_start|>assistant\n".
std::string FormatPrompt(const PromptParts& parts);

}  // namespace diptych
