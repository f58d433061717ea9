// The numbers by which people compare embeddings by eye.
#pragma once

#include "common/conditioning/conditioning.h"

namespace diptych {

struct EmbeddingStatistics {
  double mean = 0;
  double std = 0;  // of the sample (n - 1), as torch computes it
  double min = 0;
  double max = 0;
};

// Over all values. The conditioning is consistent (CheckConditioning).
EmbeddingStatistics Summarize(const Conditioning& conditioning);

}  // namespace diptych
