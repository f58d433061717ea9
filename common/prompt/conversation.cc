#include "common/prompt/conversation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/error/error.h"
#include "common/error/json_mistake.h"
#include "common/prompt/prompt_text.h"

namespace diptych {
namespace {

using nlohmann::json;

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

Role ReadRole(const json& value, const std::string& field) {
  const std::string name = ReadString(value, field);
  for (const Role role : {Role::kSystem, Role::kUser, Role::kAssistant}) {
    if (name == RoleName(role)) return role;
  }
  Refuse(field, "is " + json(name).dump() + ", expected system, user or assistant");
}

Message ReadMessage(const json& value, const std::string& field) {
  if (!value.is_object()) Refuse(field, std::string("is ") + value.type_name() + ", expected an object");
  const json* role = Find(value, "role");
  const json* content = Find(value, "content");
  const json* thinking = Find(value, "thinking");
  if (role == nullptr) Refuse(field + ".role", "is missing");
  if (content == nullptr) Refuse(field + ".content", "is missing");
  Message message{ReadRole(*role, field + ".role"), ReadString(*content, field + ".content"), std::nullopt};
  if (thinking != nullptr) message.thinking = ReadString(*thinking, field + ".thinking");
  return message;
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
    root = json::parse(text);
  } catch (const json::parse_error& error) {
    Refuse("is not JSON:", JsonMistake(error, text.size()));
  }
  if (!root.is_object()) Refuse("is", std::string(root.type_name()) + ", expected an object with messages");

  Conversation conversation;
  conversation.enable_thinking = ReadBool(root, "enable_thinking", false);
  conversation.is_final = ReadBool(root, "is_final", true);
  const json* messages = Find(root, "messages");
  if (messages == nullptr) Refuse("messages", "is missing");
  if (!messages->is_array()) Refuse("messages", std::string("is ") + messages->type_name() + ", expected an array");
  for (size_t i = 0; i < messages->size(); ++i) {
    conversation.messages.push_back(ReadMessage((*messages)[i], "messages[" + std::to_string(i) + "]"));
  }
  return conversation;
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
