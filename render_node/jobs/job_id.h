// Names of jobs: 26 characters that sort by time of acceptance (the ULID layout: 48 bits of milliseconds, 80 of chance,
// in Crockford's base 32).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace diptych {

inline constexpr size_t kJobIdLength = 26;

// True for 26 characters of the alphabet that fit 128 bits: what may name a file. Lower case is not an id.
bool IsJobId(std::string_view text);

// Makes ids, each greater than the one before, also when the clock stands still or jumps back. Thread-safe.
class JobIdGenerator {
 public:
  // `random` gives 64 fresh random bits a call; called under this object's lock.
  explicit JobIdGenerator(std::function<uint64_t()> random);

  // Ids from now on are greater than `id` (the greatest one known from an earlier life). Throws Error(kDataLoss) if it
  // is no id.
  void StartAfter(std::string_view id);

  // `unix_ms` is the present time; negative counts as 0.
  std::string Next(int64_t unix_ms);

 private:
  using Bytes = std::array<uint8_t, 16>;  // big-endian, so that byte order is number order

  const std::function<uint64_t()> random_;
  std::mutex mutex_;
  Bytes last_{};
};

// 64 bits of the operating system's randomness a call.
std::function<uint64_t()> SystemRandom();

}  // namespace diptych
