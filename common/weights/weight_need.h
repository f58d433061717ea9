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
  uint64_t mapped = 0;  // used where they lie in the mapped files, as WeightView does where nothing changes
};

// Of all floating-point tensors but those whose names begin with one of `unused`, when they are computed in `dtype`.
WeightNeed NeedOf(const Checkpoint& checkpoint, Dtype dtype, std::initializer_list<std::string_view> unused = {});

}  // namespace diptych
