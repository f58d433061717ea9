// The words for a prompt of more tokens than an operator allows: the encoder says them before the work, the renderer
// where the rows are there already.
#pragma once

#include <cstdint>
#include <string>

#include "common/error/error.h"

namespace diptych {

// `what`: "prompt" or "negative prompt". 0: no limit. Throws Error(kInvalidArgument) naming both numbers.
inline void CheckTokenLimit(const std::string& what, int64_t tokens, int64_t limit) {
  if (limit == 0 || tokens <= limit) return;
  throw Error(ErrorCode::kInvalidArgument, "the " + what + " has " + std::to_string(tokens) +
                                               " tokens; this renderer allows at most " + std::to_string(limit) +
                                               " (render.max_prompt_tokens)");
}

}  // namespace diptych
