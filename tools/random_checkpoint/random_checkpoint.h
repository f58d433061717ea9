// A complete Z-Image folder with random but well-conditioned weights: it runs through every stage and paints noise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/weights/dtype.h"
#include "tools/random_checkpoint/sizes.h"

namespace diptych::random_checkpoint {

struct Options {
  uint64_t seed = 0;
  bool float32 = false;                      // else bfloat16
  // Q8_0 or Q4_K: the matrices of the transformer and of the text encoder, which are GGUF files then, in the names that
  // such files have; what does not fit blocks stays in bfloat16.
  std::optional<Dtype> quantised = {};
  uint64_t max_shard_bytes = 5'000'000'000;  // larger models are split, with an index
};

// Writes model_index.json, tokenizer/, text_encoder/, transformer/, vae/ and scheduler/ into `folder`, which is made
// when it does not exist and must be empty otherwise. Equal arguments give equal bytes on every machine. Throws
// Error(kInvalidArgument) for sizes that do not fit one another or a folder in use, kUnavailable when writing fails.
void WriteRandomCheckpoint(const std::string& folder, const Sizes& sizes, const Options& options);

}  // namespace diptych::random_checkpoint
