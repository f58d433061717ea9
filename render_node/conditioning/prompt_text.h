// The parts of a prompt as a client gave them; mirrors diptych.v1.Prompt.
#pragma once

#include <optional>
#include <string>

namespace diptych {

// All text is UTF-8. A default-constructed one is the empty prompt.
struct PromptText {
  std::string user;                   // may be empty
  std::optional<std::string> system;  // unset or empty: no system turn
  std::string thinking;               // non-empty: a think block with this text
  std::string assistant;              // text after the think block; closes the turn when non-empty
  bool force_think_block = false;     // an empty think block even without thinking text
  bool remove_quotes = false;         // delete every ASCII double quote
  bool keep_whitespace = false;       // do not clean whitespace
  std::string conversation_json;      // set: the whole conversation; everything above is then at its default

  bool operator==(const PromptText&) const = default;
};

}  // namespace diptych
