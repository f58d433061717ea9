// Hidden states in a few numbers, to compare two backends by eye.
#pragma once

#include <string>

#include "common/conditioning/conditioning.h"

namespace diptych {

// "24 x 2560 bfloat16, min -1.0000 max 2.0000 mean 0.0100 std 0.9000, first row begins [...], last row ends [...]":
// five values each, four decimals; std is the unbiased one, as torch prints it. The block is consistent.
std::string DescribeStates(const Conditioning& conditioning);

}  // namespace diptych
