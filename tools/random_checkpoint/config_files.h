// The configuration files of a Z-Image folder, with the keys of the published checkpoint.
#pragma once

#include <string>

#include "tools/random_checkpoint/sizes.h"

namespace diptych::random_checkpoint {

// Each returns the text of a file. `dtype`: "bfloat16" or "float32", what the weights are stored in.
std::string ModelIndexJson();
std::string TextEncoderConfigJson(const TextEncoderSizes& sizes, const std::string& dtype);
std::string TransformerConfigJson(const TransformerSizes& sizes, int64_t caption_dim);
std::string VaeConfigJson(const VaeSizes& sizes, int64_t native_size);
std::string SchedulerConfigJson(double shift);

}  // namespace diptych::random_checkpoint
