#include "common/prompt/encode_input.h"

#include "common/prompt/chat_formatter.h"

namespace diptych {

EncodeInput EncodeInputOf(const PromptParts& parts) { return {.text = FormatPrompt(parts)}; }

}  // namespace diptych
