// The time, passed in so that tests can set it.
#pragma once

#include <chrono>
#include <cstdint>

namespace diptych {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Milliseconds since 1970-01-01 UTC. May jump either way when somebody sets the machine's clock.
  virtual int64_t UnixMs() const = 0;

  // Milliseconds since an arbitrary start; never goes back. For durations.
  virtual double SteadyMs() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t UnixMs() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  double SteadyMs() const override {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};

}  // namespace diptych
