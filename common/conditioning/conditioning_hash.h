// The identity of a block of hidden states.
#pragma once

#include <string>

#include "common/conditioning/conditioning.h"

namespace diptych {

// The hash that a receipt names: over every header field and the bytes. 64 hex digits.
std::string ConditioningHash(const Conditioning& conditioning);

}  // namespace diptych
