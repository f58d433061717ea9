#include <algorithm>

#include "tools/random_checkpoint/random_tensor.h"

namespace diptych::random_checkpoint {
namespace {

constexpr int64_t kPatchFeatures = 2 * 2 * kLatentChannels;
constexpr int64_t kTimeFrequencies = 256;  // sines and cosines together, whatever the dim
constexpr int64_t kTimeHidden = 1024;

int64_t TimeDim(int64_t dim) { return std::min<int64_t>(dim, 256); }

// int(dim / 3 * 8) as the reference computes it, in double precision.
int64_t FeedForwardDim(int64_t dim) { return static_cast<int64_t>(static_cast<double>(dim) / 3 * 8); }

void AddBlock(RandomTensors& tensors, const std::string& name, const TransformerSizes& s, bool modulated) {
  const int64_t hidden = FeedForwardDim(s.dim);
  tensors.insert(tensors.end(), {
                                    Matrix(name + ".attention.to_q", s.dim, s.dim),
                                    Matrix(name + ".attention.to_k", s.dim, s.dim),
                                    Matrix(name + ".attention.to_v", s.dim, s.dim),
                                    Matrix(name + ".attention.to_out.0", s.dim, s.dim),
                                    Scale(name + ".attention.norm_q", s.head_dim()),
                                    Scale(name + ".attention.norm_k", s.head_dim()),
                                    Scale(name + ".attention_norm1", s.dim),
                                    Scale(name + ".attention_norm2", s.dim),
                                    Scale(name + ".ffn_norm1", s.dim),
                                    Scale(name + ".ffn_norm2", s.dim),
                                    Matrix(name + ".feed_forward.w1", hidden, s.dim),
                                    Matrix(name + ".feed_forward.w2", s.dim, hidden),
                                    Matrix(name + ".feed_forward.w3", hidden, s.dim),
                                });
  if (modulated) {
    tensors.push_back(Matrix(name + ".adaLN_modulation.0", 4 * s.dim, TimeDim(s.dim)));
    tensors.push_back(Bias(name + ".adaLN_modulation.0", 4 * s.dim));
  }
}

void AddBlocks(RandomTensors& tensors, const std::string& stack, int64_t count, const TransformerSizes& s,
               bool modulated) {
  for (int64_t i = 0; i < count; ++i) AddBlock(tensors, stack + "." + std::to_string(i), s, modulated);
}

void AddLinear(RandomTensors& tensors, const std::string& name, int64_t out, int64_t in) {
  tensors.push_back(Matrix(name, out, in));
  tensors.push_back(Bias(name, out));
}

}  // namespace

RandomTensors TransformerTensors(const TransformerSizes& s, int64_t caption_dim) {
  const int64_t time_dim = TimeDim(s.dim);
  RandomTensors tensors;
  AddLinear(tensors, "all_x_embedder.2-1", s.dim, kPatchFeatures);
  AddLinear(tensors, "t_embedder.mlp.0", kTimeHidden, kTimeFrequencies);
  AddLinear(tensors, "t_embedder.mlp.2", time_dim, kTimeHidden);
  tensors.push_back(Scale("cap_embedder.0", caption_dim));
  AddLinear(tensors, "cap_embedder.1", s.dim, caption_dim);
  tensors.push_back({"x_pad_token", {1, s.dim}, 0.0, 1.0});
  tensors.push_back({"cap_pad_token", {1, s.dim}, 0.0, 1.0});
  AddBlocks(tensors, "noise_refiner", s.refiner_layers, s, true);
  AddBlocks(tensors, "context_refiner", s.refiner_layers, s, false);
  AddBlocks(tensors, "layers", s.layers, s, true);
  AddLinear(tensors, "all_final_layer.2-1.linear", kPatchFeatures, s.dim);
  AddLinear(tensors, "all_final_layer.2-1.adaLN_modulation.1", s.dim, time_dim);
  return tensors;
}

}  // namespace diptych::random_checkpoint
