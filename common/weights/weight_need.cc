#include "common/weights/weight_need.h"

#include <algorithm>

namespace diptych {
namespace {

bool IsComputedWith(Dtype dtype) {
  return dtype == Dtype::F64 || dtype == Dtype::F32 || dtype == Dtype::F16 || dtype == Dtype::BF16 ||
         IsQuantised(dtype);
}

}  // namespace

WeightNeed NeedOf(const Checkpoint& checkpoint, Dtype dtype, std::initializer_list<std::string_view> unused) {
  WeightNeed need;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const TensorEntry& entry = *tensor.entry;
    const auto begins = [&name = name](std::string_view part) { return name.starts_with(part); };
    if (std::any_of(unused.begin(), unused.end(), begins)) continue;
    if (!IsComputedWith(entry.dtype)) continue;  // WeightView reads no such tensor
    const DtypeFacts& facts = FactsOf(entry.dtype);
    const uint64_t bytes = entry.byte_count / static_cast<uint64_t>(facts.block_bytes) *
                           static_cast<uint64_t>(facts.block_elements) * ByteSize(dtype);
    need.on_gpu += bytes;
    const bool stays = IsQuantised(entry.dtype)
                           ? entry.shape.size() == 2 && entry.shape[1] % facts.block_elements == 0
                           : entry.dtype == dtype && reinterpret_cast<uintptr_t>(entry.data) % ByteSize(dtype) == 0;
    (stays ? need.mapped : need.copied) += stays ? entry.byte_count : bytes;
  }
  return need;
}

}  // namespace diptych
