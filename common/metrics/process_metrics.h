// What this process takes of its machine.
#pragma once

#include <vector>

#include "prometheus/collectable.h"

namespace diptych {

// diptych_process_resident_memory_bytes, diptych_process_threads; read from /proc when asked for, and left out where
// that cannot be read.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace diptych
