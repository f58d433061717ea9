// What a loaded model computes with and what it holds; does not change while it is loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/memory/memory_facts.h"

namespace diptych {

struct MachineFacts {
  std::string libtorch = {};    // "1.13.1"
  std::string blas = {};        // "OpenBLAS 0.3.21 for SkylakeX"; empty: not known
  std::string gpu = {};         // "NVIDIA H200"; empty: none is used
  uint64_t gpu_total = 0;       // bytes
  uint64_t weights_copied = 0;  // bytes of this host's memory
  uint64_t weights_mapped = 0;  // bytes in mapped files
  uint64_t work = 0;            // bytes of this host's memory beside them, for the usual work
};

// The same as a daemon elsewhere tells it, with what its system said of the memory then.
struct MachineReport {
  MachineFacts facts;
  std::optional<MemoryRoom> available, total;
};

}  // namespace diptych
