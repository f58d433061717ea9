#include "common/prompt/chat_formatter.h"

#include <optional>
#include <utility>

#include "common/prompt/prompt_text.h"

namespace diptych {
namespace {

std::string PreparePart(const PromptParts& parts, const char* name, const std::string& part) {
  CheckUtf8(name, part);
  std::string text = parts.keep_whitespace ? part : CleanWhitespace(part);
  return parts.remove_quotes ? RemoveQuotes(text) : text;
}

}  // namespace

Conversation BuildConversation(const PromptParts& parts) {
  if (!parts.conversation_json.empty()) return ParseConversation(parts.conversation_json);
  std::string system = PreparePart(parts, "system prompt", parts.system);
  std::string user = PreparePart(parts, "prompt", parts.user);
  std::string thinking = PreparePart(parts, "thinking content", parts.thinking);
  std::string assistant = PreparePart(parts, "assistant content", parts.assistant);

  Conversation conversation;
  conversation.enable_thinking = !thinking.empty() || parts.force_think_block;
  if (!system.empty()) conversation.AddSystem(std::move(system));
  conversation.AddUser(std::move(user));
  std::optional<std::string> block;
  if (conversation.enable_thinking) block = std::move(thinking);
  conversation.AddAssistant(std::move(assistant), std::move(block));
  return conversation;
}

std::string FormatConversation(const Conversation& conversation) {
  std::string text;
  for (size_t i = 0; i < conversation.messages.size(); ++i) {
    const Message& message = conversation.messages[i];
    const bool last = i + 1 == conversation.messages.size();
    text.append("<|im_start|>").append(RoleName(message.role)).append("\n");
    if (message.role == Role::kAssistant && conversation.enable_thinking) {
      text.append("<think>\n").append(message.thinking.value_or("")).append("\n</think>\n\n");
    }
    text.append(message.content);
    const bool left_open = last && conversation.is_final && message.content.empty();
    if (!left_open) text.append("<|im_end|>");
    if (!last) text.append("\n");
  }
  return text;
}

std::string FormatPrompt(const PromptParts& parts) { return FormatConversation(BuildConversation(parts)); }

}  // namespace diptych
