// For tests that promise a speed: processor time of this process, which other work on the machine does not lengthen.
#pragma once

#include <ctime>

namespace diptych {

// Promises hold for optimised builds; sanitizers and debug builds get this many times as long.
#if defined(__SANITIZE_THREAD__)
inline constexpr double kTimeAllowance = 60;  // what allocates much takes as long there
#elif defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
inline constexpr double kTimeAllowance = 1;
#else
inline constexpr double kTimeAllowance = 20;
#endif

class CpuTimer {
 public:
  double Seconds() const { return static_cast<double>(std::clock() - start_) / CLOCKS_PER_SEC; }

 private:
  const std::clock_t start_ = std::clock();
};

}  // namespace diptych
