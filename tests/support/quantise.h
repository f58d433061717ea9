// Quantises as ggml's plain reference code does, well enough for tests: what counts is that both sides of a comparison
// have the same blocks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "common/weights/dequantize.h"
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

// To the nearest of the finite values of float8_e4m3fn, after a division by `scale`.
inline std::vector<uint8_t> ToFp8(const std::vector<float>& values, float scale) {
  std::vector<uint8_t> all(256);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
  std::vector<float> decoded(256);
  Dequantize(Dtype::F8_E4M3, all.data(), 256, decoded.data());
  std::vector<uint8_t> bytes;
  for (const float value : values) {
    size_t best = 0;
    for (size_t i = 0; i < 127; ++i) {  // the rest are negative, and no number
      if (std::fabs(decoded[i] - std::fabs(value / scale)) < std::fabs(decoded[best] - std::fabs(value / scale))) best = i;
    }
    bytes.push_back(static_cast<uint8_t>(best | (value < 0 ? 128 : 0)));
  }
  return bytes;
}

}  // namespace diptych::testing
