#include "common/prompt/conversation.h"

#include <algorithm>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/prompt/prompt_text.h"

namespace diptych {
namespace {

using nlohmann::json;

// How long a prompt may be is for others to say.
constexpr JsonBounds kConversation{.bytes = size_t{64} << 20};

[[noreturn]] void Refuse(const std::string& field, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, "conversation: " + field + " " + reason);
}

// The named member, or null when it is missing or null.
const json* Find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string ReadString(const json& value, const std::string& field) {
  if (!value.is_string()) Refuse(field, std::string("is ") + value.type_name() + ", expected a string");
  return value.get<std::string>();
}

bool ReadBool(const json& object, const char* key, bool missing) {
  const auto found = object.find(key);
  if (found == object.end()) return missing;
  if (!found->is_boolean()) Refuse(key, std::string("is ") + found->type_name() + ", expected true or false");
  return found->get<bool>();
}

// A text, or OpenAI's list of parts, which are joined as the chat template joins them.
std::string ReadContent(const json& value, const std::string& field) {
  if (!value.is_array()) return ReadString(value, field);
  std::string text;
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string place = field + "[" + std::to_string(i) + "]";
    const json& part = value[i];
    if (part.is_string()) {
      text += part.get<std::string>();
      continue;
    }
    if (!part.is_object())
      Refuse(place, std::string("is ") + part.type_name() + ", expected a part with type and text");
    const json* type = Find(part, "type");
    const json* words = Find(part, "text");
    if (words == nullptr) {
      Refuse(place, type != nullptr && type->is_string()
                        ? "is of type " + JsonExcerpt(*type) + ", and only text is understood"
                        : "has no text");
    }
    text += ReadString(*words, place + ".text");
  }
  return text;
}

Role ReadRole(const json& value, const std::string& field) {
  const std::string name = ReadString(value, field);
  if (name == "developer") return Role::kSystem;  // OpenAI's newer word for it
  for (const Role role : {Role::kSystem, Role::kUser, Role::kAssistant}) {
    if (name == RoleName(role)) return role;
  }
  Refuse(field, "is " + JsonExcerpt(name) + ", expected system, user or assistant");
}

Message ReadMessage(const json& value, const std::string& field) {
  if (!value.is_object()) Refuse(field, std::string("is ") + value.type_name() + ", expected an object");
  const json* role = Find(value, "role");
  const json* content = Find(value, "content");
  const json* thinking = Find(value, "thinking");
  if (role == nullptr) Refuse(field + ".role", "is missing");
  if (content == nullptr) Refuse(field + ".content", "is missing");
  Message message{ReadRole(*role, field + ".role"), ReadContent(*content, field + ".content"), std::nullopt};
  if (thinking != nullptr) message.thinking = ReadString(*thinking, field + ".thinking");
  return message;
}

void ReadMessages(const json& messages, Conversation& conversation) {
  for (size_t i = 0; i < messages.size(); ++i) {
    // A text alone is what the user says.
    if (messages[i].is_string()) {
      conversation.AddUser(messages[i].get<std::string>());
    } else {
      conversation.messages.push_back(ReadMessage(messages[i], "messages[" + std::to_string(i) + "]"));
    }
  }
}

// ", in line 3"; empty for a text of one line. `byte` counts from 1; 0: not known.
std::string LineOf(std::string_view text, size_t byte) {
  if (byte == 0 || text.find('\n') == text.npos) return "";
  const std::string_view before = text.substr(0, byte - 1);
  return ", in line " + std::to_string(1 + std::count(before.begin(), before.end(), '\n'));
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
  }
  return "";
}

Conversation& Conversation::AddSystem(std::string content) {
  messages.push_back({Role::kSystem, std::move(content), std::nullopt});
  return *this;
}

Conversation& Conversation::AddUser(std::string content) {
  messages.push_back({Role::kUser, std::move(content), std::nullopt});
  return *this;
}

Conversation& Conversation::AddAssistant(std::string content, std::optional<std::string> thinking) {
  messages.push_back({Role::kAssistant, std::move(content), std::move(thinking)});
  return *this;
}

Conversation ParseConversation(std::string_view text) {
  CheckUtf8("conversation", text);
  json root;
  try {
    root = ParseBoundedJson(text, kConversation);
  } catch (const JsonError& error) {
    if (error.is_syntax()) Refuse("is not JSON:", error.mistake() + LineOf(text, error.byte()));
    throw Error(ErrorCode::kInvalidArgument, std::string("conversation: ") + error.what());
  }
  Conversation conversation;
  if (root.is_string()) return conversation.AddUser(root.get<std::string>());
  if (root.is_array()) {
    ReadMessages(root, conversation);
    return conversation;
  }
  if (!root.is_object()) {
    Refuse("is", std::string(root.type_name()) + ", expected an object with messages, or a list of them");
  }
  conversation.enable_thinking = ReadBool(root, "enable_thinking", false);
  conversation.is_final = ReadBool(root, "is_final", true);
  const json* messages = Find(root, "messages");
  if (messages == nullptr) Refuse("messages", "is missing");
  if (!messages->is_array()) Refuse("messages", std::string("is ") + messages->type_name() + ", expected an array");
  ReadMessages(*messages, conversation);
  return conversation;
}

std::string ShownPrompt(const PromptParts& prompt) {
  if (prompt.conversation_json.empty()) return prompt.user;
  try {
    const Conversation conversation = ParseConversation(prompt.conversation_json);
    for (auto message = conversation.messages.rbegin(); message != conversation.messages.rend(); ++message) {
      if (message->role == Role::kUser) return message->content;
    }
  } catch (const Error&) {  // of a receipt that somebody changed: it has no text to show
  }
  return "";
}

std::string ConversationJson(const Conversation& conversation) {
  using nlohmann::ordered_json;
  ordered_json messages = ordered_json::array();
  for (size_t i = 0; i < conversation.messages.size(); ++i) {
    const Message& message = conversation.messages[i];
    const std::string field = "conversation: messages[" + std::to_string(i) + "]";
    CheckUtf8(field + ".content", message.content);
    ordered_json item = {{"role", RoleName(message.role)}, {"content", message.content}};
    if (message.thinking) {
      CheckUtf8(field + ".thinking", *message.thinking);
      item["thinking"] = *message.thinking;
    }
    messages.push_back(std::move(item));
  }
  const ordered_json root = {{"enable_thinking", conversation.enable_thinking},
                             {"is_final", conversation.is_final},
                             {"messages", std::move(messages)}};
  return root.dump();
}

}  // namespace diptych
