#include "coordinator/order/prompt_options.h"

#include "common/config/options.h"
#include "common/error/error.h"
#include "common/prompt/conversation.h"
#include "common/prompt/prompt_text.h"
#include "coordinator/order/wrong_wish.h"
#include "coordinator/text_input.h"

namespace diptych {
namespace {

constexpr size_t kMaxConversationBytes = 16 << 20;

void CheckParts(const PromptParts& prompt) {
  CheckArgument("the prompt", prompt.user);
  CheckArgument("--system-prompt", prompt.system);
  CheckArgument("--thinking-content", prompt.thinking);
  CheckArgument("--assistant-content", prompt.assistant);
}

PromptParts ReadConversationFile(const std::string& file, const std::optional<std::string>& user,
                                 const PromptOptions& options, const InputSource& source) {
  if (user || options.AnyGiven()) {
    throw WrongWish("--conversation stands in place of the prompt and its parts; give one or the other");
  }
  const std::string text = ReadTextInput(file, kMaxConversationBytes, source);
  try {
    if (ParseConversation(text).messages.empty())
      throw Error(ErrorCode::kInvalidArgument, "messages: holds no message");
  } catch (const Error& error) {
    throw Error(error.code(), InputName(file) + ": " + error.what());
  }
  PromptParts prompt;
  prompt.conversation_json = text;
  return prompt;
}

}  // namespace

void CheckArgument(std::string_view what, std::string_view text) {
  try {
    CheckUtf8(what, text);
  } catch (const Error& error) {
    throw WrongWish(error.what());
  }
}

PromptOptions ReadPromptOptions(const Settings& settings) {
  const auto given = [&](const auto& option) { return settings.OriginOf(option) == Origin::kFlag; };
  PromptOptions result;
  result.parts.system = settings.Get(options::kSystemPrompt);
  result.parts.thinking = settings.Get(options::kThinkingContent);
  result.parts.assistant = settings.Get(options::kAssistantContent);
  result.parts.force_think_block = settings.Get(options::kForceThinkBlock);
  result.parts.remove_quotes = settings.Get(options::kRemoveQuotes);
  result.parts.keep_whitespace = settings.Get(options::kKeepWhitespace);
  result.conversation_file = settings.Get(options::kConversation);
  result.system_given = given(options::kSystemPrompt);
  result.thinking_given = given(options::kThinkingContent);
  result.assistant_given = given(options::kAssistantContent);
  result.force_given = given(options::kForceThinkBlock);
  result.quotes_given = given(options::kRemoveQuotes);
  result.whitespace_given = given(options::kKeepWhitespace);
  return result;
}

PromptParts MakePrompt(const std::optional<std::string>& user, const PromptOptions& options,
                       const InputSource& source) {
  if (!options.conversation_file.empty()) return ReadConversationFile(options.conversation_file, user, options, source);
  if (!user) throw WrongWish("PROMPT is missing (an empty prompt is written \"\"; - reads it from standard input)");
  PromptParts prompt = options.parts;
  prompt.user = *user;
  CheckParts(prompt);
  return prompt;
}

PromptParts ChangePrompt(PromptParts base, const std::optional<std::string>& user, const PromptOptions& options,
                         const InputSource& source) {
  if (!options.conversation_file.empty()) return ReadConversationFile(options.conversation_file, user, options, source);
  if (!base.conversation_json.empty() && (user || options.AnyGiven())) {
    if (!user) throw WrongWish("the picture was made from a conversation; give PROMPT as well to replace it");
    base = PromptParts{};
  }
  if (user) base.user = *user;
  if (options.system_given) base.system = options.parts.system;
  if (options.thinking_given) base.thinking = options.parts.thinking;
  if (options.assistant_given) base.assistant = options.parts.assistant;
  if (options.force_given) base.force_think_block = options.parts.force_think_block;
  if (options.quotes_given) base.remove_quotes = options.parts.remove_quotes;
  if (options.whitespace_given) base.keep_whitespace = options.parts.keep_whitespace;
  CheckParts(base);
  return base;
}

}  // namespace diptych
