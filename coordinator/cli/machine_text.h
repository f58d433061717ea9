// A daemon's machine in words, for nodes and doctor.
#pragma once

#include <string>

#include "common/memory/machine_facts.h"

namespace diptych {

// "libtorch 1.13.1, OpenBLAS 0.3.21, no GPU"
std::string MachineText(const MachineFacts& facts);

// "12 MB of weights, 44 MB for a picture of the usual size; available 18.2 GB of 25.3 GB; up to 8192x8192".
// `largest_side` 0: not known.
std::string MemoryText(const MachineReport& machine, int32_t largest_side);

}  // namespace diptych
