// Random numbers that are the same on every machine: integers up to the last step, no library's distributions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/weights/safetensors.h"

namespace diptych::random_checkpoint {

// Fills `bytes` with elements of `dtype` (F32 or BF16, rounded to nearest even) of the given mean and standard
// deviation. Element i depends on seed, name and i alone. The distribution is the sum of four uniform ones: close to
// normal, and never beyond 3.5 deviations.
void FillRandom(uint64_t seed, const std::string& name, double mean, double deviation, Dtype dtype,
                std::span<uint8_t> bytes);

// The same for blocks of Q8_0 or Q4_K, mean 0: close to normal again, or uniform. Each block depends on seed, name and
// its number alone.
void FillRandomBlocks(uint64_t seed, const std::string& name, double deviation, Dtype dtype, std::span<uint8_t> bytes);

}  // namespace diptych::random_checkpoint
