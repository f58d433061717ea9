#include "common/prompt/conversation.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/json/json_place.h"
#include "common/prompt/prompt_text.h"

namespace diptych {
namespace {

using nlohmann::json;

// How long a prompt may be is for others to say.
constexpr JsonBounds kConversation{.bytes = size_t{64} << 20};

// A text, or OpenAI's list of parts, which are joined as the chat template joins them.
std::string ReadContent(const JsonPlace& content) {
  if (!content.value().is_array()) return content.String();
  std::string text;
  for (size_t i = 0; i < content.Size(); ++i) {
    const JsonPlace part = content.At(i);
    if (part.value().is_string()) {
      text += part.String();
      continue;
    }
    if (!part.value().is_object()) {
      part.Refuse(std::string("is ") + part.value().type_name() + ", expected a part with type and text");
    }
    if (const std::optional<JsonPlace> words = part.Find("text")) {
      text += words->String();
      continue;
    }
    const std::optional<JsonPlace> type = part.Find("type");
    const bool is_named = type && type->value().is_string();
    part.Refuse(is_named ? "is of type " + JsonExcerpt(type->value()) + ", and only text is understood"
                         : "has no text");
  }
  return text;
}

Role ReadRole(const JsonPlace& role) {
  const std::string name = role.String();
  if (name == "developer") return Role::kSystem;  // OpenAI's newer word for it
  for (const Role known : {Role::kSystem, Role::kUser, Role::kAssistant}) {
    if (name == RoleName(known)) return known;
  }
  role.Refuse("is " + JsonExcerpt(name) + ", expected system, user or assistant");
}

Message ReadMessage(const JsonPlace& place) {
  const JsonPlace role = place.Required("role"), content = place.Required("content");
  Message message{ReadRole(role), ReadContent(content), std::nullopt};
  if (const std::optional<JsonPlace> thinking = place.Find("thinking")) message.thinking = thinking->String();
  return message;
}

void ReadMessages(const JsonPlace& messages, Conversation& conversation) {
  for (size_t i = 0; i < messages.Size(); ++i) {
    const JsonPlace message = messages.At(i);
    // A text alone is what the user says.
    if (message.value().is_string()) {
      conversation.AddUser(message.String());
    } else {
      conversation.messages.push_back(ReadMessage(message));
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
  json object;
  try {
    object = ParseBoundedJson(text, kConversation);
  } catch (const JsonError& error) {
    const std::string what =
        error.is_syntax() ? "is not JSON: " + error.mistake() + LineOf(text, error.byte()) : std::string(error.what());
    throw Error(ErrorCode::kInvalidArgument, "conversation: " + what);
  }
  const JsonPlace root(object, "conversation");
  Conversation conversation;
  if (object.is_string()) return conversation.AddUser(root.String());
  if (object.is_array()) {
    // Its messages are named as those of the object are.
    ReadMessages(JsonPlace(object, "conversation", "messages"), conversation);
    return conversation;
  }
  if (!object.is_object()) {
    throw Error(ErrorCode::kInvalidArgument, std::string("conversation: is ") + object.type_name() +
                                                 ", expected an object with messages, or a list of them");
  }
  if (object.contains("enable_thinking")) conversation.enable_thinking = root.At("enable_thinking").Bool();
  if (object.contains("is_final")) conversation.is_final = root.At("is_final").Bool();
  ReadMessages(root.Required("messages"), conversation);
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
