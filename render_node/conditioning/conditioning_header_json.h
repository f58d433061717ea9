// The facts about a block of hidden states as JSON, for the files that hold such a block.
#pragma once

#include <string>
#include <string_view>

#include "common/conditioning/conditioning.h"

namespace diptych {

// Every field, in one line.
std::string ConditioningHeaderToJson(const ConditioningHeader& header);

// Throws Error(kInvalidArgument) for anything but what ConditioningHeaderToJson makes.
ConditioningHeader ConditioningHeaderFromJson(std::string_view text);

}  // namespace diptych
