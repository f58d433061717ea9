#include "common/weights/weight_need.h"

#include <algorithm>

namespace diptych {
namespace {

bool IsComputedWith(Dtype dtype) {
  return dtype == Dtype::F64 || dtype == Dtype::F32 || dtype == Dtype::F16 || dtype == Dtype::BF16;
}

}  // namespace

WeightNeed NeedOf(const Checkpoint& checkpoint, Dtype dtype, std::initializer_list<std::string_view> unused) {
  WeightNeed need;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const TensorEntry& entry = *tensor.entry;
    const auto begins = [&name = name](std::string_view part) { return name.starts_with(part); };
    if (std::any_of(unused.begin(), unused.end(), begins)) continue;
    if (!IsComputedWith(entry.dtype)) continue;  // WeightView reads no such tensor
    const size_t element = ByteSize(entry.dtype);
    if (entry.dtype == dtype && reinterpret_cast<uintptr_t>(entry.data) % element == 0) {
      need.mapped += entry.byte_count;
    } else {
      need.copied += entry.byte_count / element * ByteSize(dtype);
    }
  }
  return need;
}

}  // namespace diptych
