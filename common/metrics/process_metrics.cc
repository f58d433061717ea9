#include "common/metrics/process_metrics.h"

#include <fstream>
#include <string>

#include "common/metrics/metric_family.h"

namespace diptych {

// proc(5): "VmRSS:     1234 kB", "Threads:  7".
std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double value = 0;
    if (word == "VmRSS:" && status >> value) {
      families.push_back(GaugeFamily("diptych_process_resident_memory_bytes",
                                     "Memory of this process that is not swapped out or given back",
                                     {{{}, value * 1024}}));
    } else if (word == "Threads:" && status >> value) {
      families.push_back(GaugeFamily("diptych_process_threads", "Threads of this process", {{{}, value}}));
    }
  }
  return families;
}

}  // namespace diptych
