// The values of quantised formats: ggml's blocks, and fp8 before its scales.
#pragma once

#include <cstdint>

#include "common/weights/dtype.h"

namespace diptych {

// The values of `count` consecutive elements, in the order of the row. `blocks` is aligned to nothing; `count` is a
// multiple of FactsOf(dtype).block_elements; `out` holds count floats. Throws Error(kInternal) for another count and
// for a format that is in none of them (U8, BOOL and their like).
//
// Equal to quants.dequantize of the gguf package 0.19.0 in every bit wherever the scales are finite, with or without
// fused multiplication: scale times sub-scale times number has at most 23 significant bits in each of these formats, so
// products are exact and a value is rounded once at most, by the addition of the formats that have one. Whole numbers
// (I8 to I64) and F64, which the package does not convert, are rounded to the nearest float.
void Dequantize(Dtype dtype, const uint8_t* blocks, int64_t count, float* out);

}  // namespace diptych
