#include "common/concurrency/physical_cores.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <utility>

namespace diptych {
namespace {

// -1 where the kernel does not say, as in some containers.
int ReadTopology(int cpu, const char* what) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + what);
  int value = -1;
  file >> value;
  return file ? value : -1;
}

}  // namespace

int PhysicalCores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  std::set<std::pair<int, int>> cores;  // package, core
  int unknown = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const int package = ReadTopology(cpu, "physical_package_id"), core = ReadTopology(cpu, "core_id");
    if (core < 0) {
      ++unknown;
    } else {
      cores.emplace(package, core);
    }
  }
  return std::max(1, static_cast<int>(cores.size()) + unknown);
}

int ThreadsWorthwhile(double flop, int threads) {
  constexpr double kLeastOfAThread = 0.15e9;  // measured: docs/performance.md, "A busy host"
  return static_cast<int>(std::clamp(flop / kLeastOfAThread, 1.0, static_cast<double>(std::max(threads, 1))));
}

}  // namespace diptych
