// Who says what: the turns that the chat format is made from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/prompt/prompt_parts.h"

namespace diptych {

enum class Role { kSystem, kUser, kAssistant };
std::string_view RoleName(Role role);  // "system", "user", "assistant"

struct Message {
  Role role = Role::kUser;
  std::string content;
  std::optional<std::string> thinking;  // of an assistant; ignored otherwise

  bool operator==(const Message&) const = default;
};

struct Conversation {
  std::vector<Message> messages;
  bool enable_thinking = false;  // every assistant turn carries a think block, empty if need be
  bool is_final = true;          // a last turn without content stays open, for the model to continue

  Conversation& AddSystem(std::string content);
  Conversation& AddUser(std::string content);
  Conversation& AddAssistant(std::string content = "", std::optional<std::string> thinking = std::nullopt);

  bool operator==(const Conversation&) const = default;
};

// {"enable_thinking": bool, "is_final": bool, "messages": [{"role": "...", "content": "...", "thinking": "..."}]}
// A missing enable_thinking means false and a missing is_final true, as above; unknown keys are ignored. The list of
// messages alone is one, too, and so is a text, which the user says. A message may be such a text, and a content a list
// of parts: [{"type": "text", "text": "..."}].
// Throws Error(kInvalidArgument) naming the field that is missing, of another type, or holds an unknown role.
Conversation ParseConversation(std::string_view json);

// The same form; `thinking` is left out where absent. Throws Error(kInvalidArgument) for text that is not valid UTF-8.
std::string ConversationJson(const Conversation& conversation);

// What a prompt asks for, in a line or two for people: of a conversation what the user says last. Empty for a broken
// one.
std::string ShownPrompt(const PromptParts& prompt);

}  // namespace diptych
