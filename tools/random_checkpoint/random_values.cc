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

namespace {

uint64_t KeyOf(uint64_t seed, const std::string& name) { return Mix(seed + 0x9e3779b97f4a7c15) ^ HashOf(name); }
uint64_t Draw(uint64_t key, uint64_t i) { return Mix(key + i * 0x9e3779b97f4a7c15); }

void PutHalf(uint8_t* to, double value) {
  const auto half = static_cast<_Float16>(value);
  std::memcpy(to, &half, sizeof half);
}

}  // namespace

void FillRandom(uint64_t seed, const std::string& name, double mean, double deviation, Dtype dtype,
                std::span<uint8_t> bytes) {
  if (dtype != Dtype::F32 && dtype != Dtype::BF16)
    throw Error(ErrorCode::kInternal, "random values only as F32 or BF16");
  const uint64_t key = KeyOf(seed, name);
  const double scale = deviation / kSumDeviation;
  const size_t element_bytes = ByteSize(dtype);
  for (size_t i = 0; i < bytes.size() / element_bytes; ++i) {
    const auto value = static_cast<float>(mean + scale * CentredSum(Draw(key, i)));
    if (dtype == Dtype::F32) {
      std::memcpy(&bytes[4 * i], &value, 4);
    } else {
      const uint16_t rounded = ToBfloat16(value);
      std::memcpy(&bytes[2 * i], &rounded, 2);
    }
  }
}

void FillRandomBlocks(uint64_t seed, const std::string& name, double deviation, Dtype dtype, std::span<uint8_t> bytes) {
  if (dtype != Dtype::Q8_0 && dtype != Dtype::Q4_K) {
    throw Error(ErrorCode::kInternal, "random blocks only as Q8_0 or Q4_K");
  }
  const uint64_t key = KeyOf(seed, name);
  const DtypeFacts& facts = FactsOf(dtype);
  const auto size = static_cast<size_t>(facts.block_bytes), elements = static_cast<size_t>(facts.block_elements);
  for (size_t block = 0; block < bytes.size() / size; ++block) {
    uint8_t* const at = bytes.data() + block * size;
    if (dtype == Dtype::Q8_0) {  // numbers from -127 to 127, with a deviation of 36.7
      constexpr int32_t kStep = 131070 / 127 + 1;
      PutHalf(at, deviation * kStep / kSumDeviation);
      for (size_t i = 0; i < elements; ++i) {
        at[2 + i] = static_cast<uint8_t>(CentredSum(Draw(key, block * elements + i)) / kStep);
      }
    } else {  // d * 32 * (number - 7.5): numbers from 0 to 15, with a deviation of 4.61
      PutHalf(at, deviation / (32 * 4.61));
      PutHalf(at + 2, deviation / (32 * 4.61) * 7.5);
      std::memset(at + 4, 32, 4);  // scales and minima of the first four parts, 32 in six bits
      std::memset(at + 8, 32, 4);
      // Of the others, four bits here and two above those of the first.
      std::memset(at + 12, 0, 4);
      for (int i = 4; i < 12; ++i) at[i] = static_cast<uint8_t>(at[i] | 2 << 6);
      for (size_t i = 0; i < elements / 2; ++i) at[16 + i] = static_cast<uint8_t>(Draw(key, block * elements + i));
    }
  }
}

}  // namespace diptych::random_checkpoint
