// Foreign text as a conversation: refused as a wrong wish, or written in our form to one that reads the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/error/error.h"
#include "common/prompt/conversation.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  diptych::PromptParts parts;
  parts.conversation_json = text;
  (void)diptych::ShownPrompt(parts);  // what is broken is shown as well as it can be
  try {
    const diptych::Conversation conversation = diptych::ParseConversation(text);
    if (diptych::ParseConversation(diptych::ConversationJson(conversation)) != conversation) std::abort();
  } catch (const diptych::Error& error) {
    if (error.code() != diptych::ErrorCode::kInvalidArgument) std::abort();
  }
  return 0;
}
