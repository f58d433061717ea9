// The parts of a prompt <-> their message.
#pragma once

#include "absl/status/statusor.h"
#include "common/prompt/prompt_parts.h"
#include "diptych/v1/encoder.pb.h"

namespace diptych {

v1::Prompt ToProto(const PromptParts& parts);

// INVALID_ARGUMENT when template_name is set, which is reserved. Everything else is CheckPromptParts' to judge.
absl::StatusOr<PromptParts> FromProto(const v1::Prompt& prompt);

}  // namespace diptych
