// Where the text of a prompt comes from, and that of a file of prompts.
#pragma once

#include <optional>
#include <string>

#include "common/config/settings.h"
#include "coordinator/input.h"

namespace diptych {

// What stands for PROMPT: the argument itself, the whole of standard input for the argument "-", or the whole of
// --prompt-file; of both without the line end that ends them. Unset: nobody gave one. Throws WrongWish for a prompt
// given twice, for two things that would read standard input, for an input without text and for text that is not UTF-8;
// Error as ReadInput.
std::optional<std::string> ReadPromptText(const std::optional<std::string>& argument, const Settings& settings,
                                          const InputSource& source);

// The bytes of a prompt file, or of standard input, at most 64 MiB. Throws Error as ReadInput.
std::string ReadPrompts(const std::string& file, const InputSource& source);

}  // namespace diptych
