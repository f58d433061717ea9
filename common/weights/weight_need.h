// What the weights of a checkpoint will take, from the headers of its files alone.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "common/weights/checkpoint.h"

namespace diptych {

// In bytes.
struct WeightNeed {
  uint64_t copied = 0;  // in memory of their own: converted to another format, or not aligned in the file
  uint64_t mapped = 0;  // used where they lie in the mapped files: as WeightView does where nothing changes, and
                        // nn::Matrix with quantised matrices
  uint64_t on_gpu = 0;  // of all of them on a GPU, where everything is a copy and dequantised
};

// Of all floating-point and quantised tensors but those whose names begin with one of `unused`, when they are computed in `dtype`.
WeightNeed NeedOf(const Checkpoint& checkpoint, Dtype dtype, std::initializer_list<std::string_view> unused = {});

}  // namespace diptych
