#include "coordinator/client/embedding_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace diptych {
namespace {

double ValueAt(const Conditioning& conditioning, size_t index) {
  uint32_t bits = 0;
  if (conditioning.header.dtype == StateDtype::kBFloat16) {
    uint16_t high;  // bfloat16 is the upper half of a float
    std::memcpy(&high, conditioning.bytes.data() + 2 * index, sizeof high);
    bits = static_cast<uint32_t>(high) << 16;
  } else {
    std::memcpy(&bits, conditioning.bytes.data() + 4 * index, sizeof bits);
  }
  return std::bit_cast<float>(bits);
}

}  // namespace

EmbeddingStatistics Summarize(const Conditioning& conditioning) {
  const size_t count = conditioning.bytes.size() / BytesPerValue(conditioning.header.dtype);
  EmbeddingStatistics result{.mean = 0,
                             .std = 0,
                             .min = std::numeric_limits<double>::infinity(),
                             .max = -std::numeric_limits<double>::infinity()};
  double squares = 0;  // Welford's running sum of squared deviations
  for (size_t i = 0; i < count; ++i) {
    const double value = ValueAt(conditioning, i);
    const double deviation = value - result.mean;
    result.mean += deviation / static_cast<double>(i + 1);
    squares += deviation * (value - result.mean);
    result.min = std::min(result.min, value);
    result.max = std::max(result.max, value);
  }
  if (count > 1) result.std = std::sqrt(squares / static_cast<double>(count - 1));
  return result;
}

}  // namespace diptych
