// The numbers that GGUF files give to number formats.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/weights/dtype.h"

namespace diptych {

struct GgmlType {
  Dtype dtype;             // kOther: ggml has it, or had it
  uint32_t number;         // in a file
  std::string_view name;   // as ggml spells it, "Q4_K"
  int64_t block_elements;  // 1: no blocks; 0: ggml itself does not read it any more
  int64_t block_bytes;
};

const GgmlType* GgmlTypeOf(uint32_t number);  // nullptr: ggml has no type of that number

}  // namespace diptych
