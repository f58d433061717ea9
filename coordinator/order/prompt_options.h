// The parts of a prompt that options set.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/config/settings.h"
#include "common/prompt/prompt_parts.h"
#include "coordinator/input.h"

namespace diptych {

// Throws WrongWish naming `what` and the offset unless the text is UTF-8, before a daemon has to say so.
void CheckArgument(std::string_view what, std::string_view text);

// What the settings say of a prompt, and which parts of it were given by flags; for repeating a picture with changes.
struct PromptOptions {
  PromptParts parts;  // all but `user`
  std::string conversation_file;
  bool system_given = false, thinking_given = false, assistant_given = false;
  bool force_given = false, quotes_given = false, whitespace_given = false;
  bool AnyGiven() const {
    return system_given || thinking_given || assistant_given || force_given || quotes_given || whitespace_given;
  }
};
PromptOptions ReadPromptOptions(const Settings& settings);

// The prompt that is asked for. Throws WrongWish for a missing prompt, one beside a conversation, and text that is
// not UTF-8; Error for a conversation file that cannot be read or is none.
PromptParts MakePrompt(const std::optional<std::string>& user, const PromptOptions& options,
                       const InputSource& source = {});

// The same, with what was given by flags put over `base`.
PromptParts ChangePrompt(PromptParts base, const std::optional<std::string>& user, const PromptOptions& options,
                         const InputSource& source = {});

}  // namespace diptych
