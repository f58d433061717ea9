// Machine facts on the wire, with what the system says of its memory now.
#pragma once

#include "common/memory/machine_facts.h"
#include "diptych/v1/machine.pb.h"

namespace diptych {

v1::Machine ToProto(const MachineFacts& machine, const MemoryFacts& memory);

MachineReport FromProto(const v1::Machine& machine);

}  // namespace diptych
