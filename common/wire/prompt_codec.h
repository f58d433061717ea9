// The parts of a prompt <-> their message.
#pragma once

#include "common/prompt/chat_formatter.h"
#include "diptych/v1/encoder.pb.h"

namespace diptych {

v1::Prompt ToProto(const PromptParts& parts);

// Reads the fields that are parts; conversation_json and template_name are left to the caller.
PromptParts PromptPartsFromProto(const v1::Prompt& prompt);

// True when a field is set that must be unset beside conversation_json.
bool HasPromptParts(const v1::Prompt& prompt);

}  // namespace diptych
