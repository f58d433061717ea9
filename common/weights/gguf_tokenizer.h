// The tokenizer that a GGUF file of a text model carries.
#pragma once

#include <optional>

#include "common/tokenizer/gguf_tokens.h"
#include "common/weights/gguf.h"

namespace diptych {

// In views of the file. nullopt: it carries none, as one of a picture model. Throws Error(kInvalidArgument) as the
// getters of GgufFile, for values of other types. What they say is for ReadGgufTokens to judge.
std::optional<GgufTokens> TokensOf(const GgufFile& file);

}  // namespace diptych
