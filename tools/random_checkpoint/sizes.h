// How large a random Z-Image is: the facts of its configuration files that vary between models.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diptych::random_checkpoint {

struct TextEncoderSizes {
  int64_t hidden = 128;
  int64_t layers = 4;
  int64_t heads = 4;
  int64_t kv_heads = 2;
  int64_t head_dim = 32;
  int64_t intermediate = 384;
  int64_t vocabulary = 384;  // rows of the embedding; at least the tokenizer's tokens
  bool tied = true;          // false: an lm_head of its own
};

struct TransformerSizes {
  int64_t dim = 128;
  int64_t heads = 2;  // dim / heads is a multiple of 16: it is divided 1/4, 3/8, 3/8 over the position axes
  int64_t layers = 4;
  int64_t refiner_layers = 2;
  int64_t head_dim() const { return dim / heads; }
};

struct VaeSizes {
  std::vector<int64_t> channels = {32, 32, 64,
                                   64};  // per level, finest first; each level but the last halves the picture
  int64_t layers_per_block = 1;
  int64_t groups = 8;  // of each GroupNorm; divides all channels
};

struct Sizes {
  TextEncoderSizes text;
  TransformerSizes transformer;
  VaeSizes vae;
  int64_t native_size = 256;  // pixels; vae/config.json sample_size
  double shift = 3.0;         // of the schedule
};

// The names that PresetSizes accepts, with what each is for.
struct PresetName {
  std::string name;
  std::string purpose;
};
const std::vector<PresetName>& Presets();

// Throws Error(kInvalidArgument) for a name that is none of them.
Sizes PresetSizes(const std::string& name);

// Throws Error(kInvalidArgument) that says which size does not fit which.
void CheckSizes(const Sizes& sizes);

}  // namespace diptych::random_checkpoint
