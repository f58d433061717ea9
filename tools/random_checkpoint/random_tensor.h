// A tensor to be made up: its name and shape as in the published checkpoints, and how its values are distributed.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/random_checkpoint/sizes.h"

namespace diptych::random_checkpoint {

struct RandomTensor {
  std::string name;
  std::vector<int64_t> shape;
  double mean;
  double deviation;
};
using RandomTensors = std::vector<RandomTensor>;

// Matrices and kernels have deviation gain / sqrt(inputs), so that activations keep their size through any number of
// layers.
inline RandomTensor Matrix(const std::string& name, int64_t out, int64_t in, double gain = 1.0) {
  return {name + ".weight", {out, in}, 0.0, gain / std::sqrt(static_cast<double>(in))};
}
inline RandomTensor Kernel(const std::string& name, int64_t out, int64_t in, int64_t size, double gain = 1.0) {
  return {name + ".weight", {out, in, size, size}, 0.0, gain / std::sqrt(static_cast<double>(in * size * size))};
}
inline RandomTensor Scale(const std::string& name, int64_t features) {
  return {name + ".weight", {features}, 1.0, 0.1};
}
inline RandomTensor Bias(const std::string& name, int64_t features) { return {name + ".bias", {features}, 0.0, 0.05}; }

// Qwen3 as a causal language model saves it: names begin with "model.".
RandomTensors TextEncoderTensors(const TextEncoderSizes& sizes);

// ZImageTransformer2DModel with latents of 16 channels, patches of 2 x 2 and captions of `caption_dim` features.
RandomTensors TransformerTensors(const TransformerSizes& sizes, int64_t caption_dim);

// AutoencoderKL with 16 latent channels, attention in its middle and no quant convolutions.
RandomTensors VaeTensors(const VaeSizes& sizes);

constexpr int64_t kLatentChannels = 16;

}  // namespace diptych::random_checkpoint
