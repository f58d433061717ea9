// Fitting more rows than the DiT takes, in the four ways of llm-dit-experiments (embedding compression).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "common/conditioning/conditioning.h"

namespace diptych {

// rows [L, width] in any float dtype -> [min(L, limit), width] in the same dtype. Unchanged when L <= limit; limit
// >= 1.
//   truncate        the first `limit` rows
//   interpolate     linear along the sequence, first and last row kept
//   pool            adaptive average: row i is the mean of rows floor(i L/T) .. ceil((i+1) L/T) - 1
//   attention_pool  rows weighted by how little they resemble their neighbours (softmax within each region)
at::Tensor FitRows(const at::Tensor& rows, int64_t limit, LongPromptMode mode);

}  // namespace diptych
