// What an operator allows the jobs of a renderer, beyond what its model can.
#pragma once

#include <cstdint>

#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

// 0: no limit. Jobs that were accepted under other limits keep what they were promised.
struct OperatorLimits {
  int64_t pixels = 0;  // width x height
  int32_t steps = 0;
  int64_t prompt_tokens = 0;  // of the prompt and of the negative prompt each; known once they are encoded
};

// All that is known when a job is submitted. Throws Error(kInvalidArgument) naming both numbers and the key.
void CheckAllowed(const RenderParameters& parameters, const OperatorLimits& limits);

}  // namespace diptych
