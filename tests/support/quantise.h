// Quantises as ggml's plain reference code does, well enough for tests: what counts is that both sides of a comparison
// have the same blocks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "common/weights/dtype.h"

namespace diptych::testing {

// `dtype`: Q8_0 or Q4_0. `values`: a multiple of 32.
inline std::vector<uint8_t> Quantise(Dtype dtype, const std::vector<float>& values) {
  if ((dtype != Dtype::Q8_0 && dtype != Dtype::Q4_0) || values.size() % 32 != 0) {
    throw std::runtime_error("no blocks of that");
  }
  std::vector<uint8_t> bytes;
  for (size_t begin = 0; begin < values.size(); begin += 32) {
    const float* const block = values.data() + begin;
    float most = 0;
    for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(block[i]));
    const auto scale = static_cast<_Float16>(most / (dtype == Dtype::Q8_0 ? 127 : 7));
    uint8_t half[2];
    std::memcpy(half, &scale, 2);
    bytes.insert(bytes.end(), half, half + 2);
    const auto step = static_cast<float>(scale);
    const auto number = [&](int i) { return step == 0 ? 0 : static_cast<int>(std::lround(block[i] / step)); };
    if (dtype == Dtype::Q8_0) {
      for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<uint8_t>(std::clamp(number(i), -127, 127)));
    } else {
      const auto nibble = [&](int i) { return static_cast<uint8_t>(std::clamp(number(i) + 8, 0, 15)); };
      for (int i = 0; i < 16; ++i) bytes.push_back(static_cast<uint8_t>(nibble(i) | nibble(i + 16) << 4));
    }
  }
  return bytes;
}

}  // namespace diptych::testing
