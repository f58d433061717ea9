#include "tools/random_checkpoint/random_values.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "common/error/error.h"

namespace diptych::random_checkpoint {
namespace {

// SplitMix64's output function: a bijection of 64-bit numbers whose outputs pass as random.
// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// FNV-1a, 64 bits.
uint64_t HashOf(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

// The sum of the four 16-bit quarters of `bits`, centred: mean 0, from -131070 to 131070.
int32_t CentredSum(uint64_t bits) {
  const auto quarter = [&](int i) { return static_cast<int32_t>(bits >> (16 * i) & 0xffff); };
  return quarter(0) + quarter(1) + quarter(2) + quarter(3) - 2 * 0xffff;
}
// Its variance is that of four uniform integers from 0 to 65535.
const double kSumDeviation = std::sqrt(4 * (65536.0 * 65536.0 - 1) / 12);

uint16_t ToBfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

void FillRandom(uint64_t seed, const std::string& name, double mean, double deviation, Dtype dtype,
                std::span<uint8_t> bytes) {
  if (dtype != Dtype::F32 && dtype != Dtype::BF16)
    throw Error(ErrorCode::kInternal, "random values only as F32 or BF16");
  const uint64_t key = Mix(seed + 0x9e3779b97f4a7c15) ^ HashOf(name);
  const double scale = deviation / kSumDeviation;
  const size_t element_bytes = ByteSize(dtype);
  for (size_t i = 0; i < bytes.size() / element_bytes; ++i) {
    const auto value = static_cast<float>(mean + scale * CentredSum(Mix(key + i * 0x9e3779b97f4a7c15)));
    if (dtype == Dtype::F32) {
      std::memcpy(&bytes[4 * i], &value, 4);
    } else {
      const uint16_t rounded = ToBfloat16(value);
      std::memcpy(&bytes[2 * i], &rounded, 2);
    }
  }
}

}  // namespace diptych::random_checkpoint
