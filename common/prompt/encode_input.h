// What an encoder is asked to encode: one type from the request to the key and the header of the rows.
#pragma once

#include <string>

#include "common/prompt/prompt_parts.h"

namespace diptych {

// Everything that the model reads. How it reads it (layer, limits, long-prompt mode) is no part of it.
struct EncodeInput {
  std::string text;  // formatted, UTF-8

  bool operator==(const EncodeInput&) const = default;
};

// Throws Error(kInvalidArgument) like FormatPrompt.
EncodeInput EncodeInputOf(const PromptParts& parts);

}  // namespace diptych
