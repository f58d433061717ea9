// From the parts of a prompt to the text that the tokenizer reads: the chat format of Qwen3's chat_template.
#pragma once

#include <string>

#include "common/prompt/conversation.h"
#include "common/prompt/prompt_parts.h"

namespace diptych {

// The conversation that the parts hold, or one turn each: system (if any), user, assistant. Thinking is enabled by
// thinking text or by force_think_block. Throws Error(kInvalidArgument) naming the part that is not valid UTF-8, and
// like ParseConversation.
Conversation BuildConversation(const PromptParts& parts);

// The turns joined by line feeds, nothing after the last. Text is inserted as it is: control tokens that a user types
// reach the tokenizer as control tokens, as in the reference.
std::string FormatConversation(const Conversation& conversation);

// FormatConversation(BuildConversation(parts)). With the defaults this is the official prompt of Z-Image:
// "<|im_start|>user\n" prompt "<|im_end|>\n<|im_start|>assistant\n".
std::string FormatPrompt(const PromptParts& parts);

}  // namespace diptych
