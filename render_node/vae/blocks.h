// What decoder and encoder are built from. Shapes: [1, channels, height, width].
// Source: diffusers autoencoder_kl.py, vae.py and resnet.py.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "common/nn/layers.h"
#include "common/weights/weight_view.h"
#include "render_node/vae/config.h"

namespace diptych::vae {

// Convolution with as much padding as keeps the size. A large picture goes in strips, each with as many rows of its
// neighbours as its own border needs.
struct Conv {
  Conv(const WeightView& w, int64_t out, int64_t in, int64_t side);
  at::Tensor operator()(const at::Tensor& x) const;  // [1, in, h, w] -> [1, out, h, w]
  const at::Tensor weight, bias;
  const int64_t padding;
};

// Half the size: one column and one row of zeros at the right and at the bottom, none at the left and at the top, then
// every second place. In strips as Conv.
struct Downsampler {
  Downsampler(const WeightView& w, int64_t channels);
  at::Tensor operator()(const at::Tensor& x) const;  // [1, C, h, w] -> [1, C, h / 2, w / 2]
  const at::Tensor weight, bias;
};

struct GroupNorm {
  GroupNorm(const WeightView& w, int64_t channels, const Config& c);
  at::Tensor operator()(const at::Tensor& x) const;
  const at::Tensor weight, bias;
  const int64_t groups;
};

struct ResnetBlock {
  ResnetBlock(const WeightView& w, int64_t in, int64_t out, const Config& c);
  at::Tensor operator()(const at::Tensor& x) const;  // [1, in, h, w] -> [1, out, h, w]
  const GroupNorm norm1;
  const Conv conv1;
  const GroupNorm norm2;
  const Conv conv2;
  std::optional<Conv> conv_shortcut;  // where the channels change
};

// One head over all places of the picture, projections with bias.
struct AttentionBlock {
  AttentionBlock(const WeightView& w, int64_t channels, const Config& c);
  at::Tensor operator()(const at::Tensor& x) const;
  const GroupNorm group_norm;
  const nn::Linear to_q, to_k, to_v, to_out;
};

struct MidBlock {
  MidBlock(const WeightView& w, int64_t channels, const Config& c);
  at::Tensor operator()(const at::Tensor& x) const { return after(attention(before(x))); }
  const ResnetBlock before;
  const AttentionBlock attention;
  const ResnetBlock after;
};

}  // namespace diptych::vae
