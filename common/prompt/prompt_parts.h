// What a user can say for one picture: one type from the command line and the wire to the job store and the receipt.
#pragma once

#include <cstdint>
#include <string>

namespace diptych {

// All text is UTF-8. A default-constructed one is the empty prompt, which is valid. Mirrors diptych.v1.Prompt.
struct PromptParts {
  std::string user = {};
  std::string system = {};             // empty: no system turn
  std::string thinking = {};           // not empty: a think block with this text
  std::string assistant = {};          // text after the think block; closes the turn when not empty
  bool force_think_block = false;      // an empty think block when there is no thinking
  bool remove_quotes = false;          // RemoveQuotes on every part, after cleaning
  bool keep_whitespace = false;        // no CleanWhitespace
  std::string conversation_json = {};  // set: the whole conversation; everything above is then at its default

  bool operator==(const PromptParts&) const = default;
};

// Calls visit(name, field) for each field, in the order in which receipts list them. `parts` may be const.
template <typename Parts, typename Visit>
void ForEachPart(Parts& parts, Visit&& visit) {
  visit("user", parts.user);
  visit("system", parts.system);
  visit("thinking", parts.thinking);
  visit("assistant", parts.assistant);
  visit("force_think_block", parts.force_think_block);
  visit("remove_quotes", parts.remove_quotes);
  visit("keep_whitespace", parts.keep_whitespace);
  visit("conversation_json", parts.conversation_json);
}

// For text from elsewhere. Throws Error(kInvalidArgument) naming the field as `name`.FIELD, unless: all texts together
// have at most `byte_limit` bytes, every one is UTF-8, and a conversation stands alone.
void CheckPromptParts(const std::string& name, const PromptParts& parts, int64_t byte_limit);

}  // namespace diptych
