// The few operations that the models share. Products and attention pause (pieces.h). Tensors are given as [...,
// features]; weights as in the checkpoint, [out, in].
#pragma once

#include <ATen/ATen.h>

#include "common/nn/matrix.h"
#include "common/weights/weight_view.h"

namespace diptych::nn {

// y = x W^T + b, b optional.  x [..., in] -> [..., out]
struct Linear {
  Linear(const WeightView& w, int64_t out, int64_t in, bool with_bias)
      : weight(w / "weight", out, in), bias(with_bias ? (w / "bias").Tensor({out}) : at::Tensor()) {}
  at::Tensor operator()(const at::Tensor& x) const { return weight.Linear(x, bias); }
  double flops_per_row() const { return 2.0 * static_cast<double>(weight.rows() * weight.columns()); }
  const Matrix weight;
  const at::Tensor bias;
};

// y = cast(x / sqrt(mean(x^2) + eps)) * weight, statistics in fp32, the cast back to the dtype of x before the weight:
// the rounding order of transformers' Qwen3RMSNorm and diffusers' RMSNorm.  x [..., features] -> same
struct RmsNorm {
  RmsNorm(const WeightView& w, int64_t features, double eps) : weight((w / "weight").Tensor({features})), eps(eps) {}
  at::Tensor operator()(const at::Tensor& x) const;
  const at::Tensor weight;
  const double eps;
};

// w2(silu(w1 x) * w3 x), no biases: w1 gate, w3 up, w2 down.  x [..., dim] -> [..., dim]
struct SwiGlu {
  SwiGlu(Linear gate, Linear up, Linear down) : gate(std::move(gate)), up(std::move(up)), down(std::move(down)) {}
  at::Tensor operator()(const at::Tensor& x) const { return down(at::silu(gate(x)).mul_(up(x))); }
  double flops_per_row() const { return gate.flops_per_row(); }  // of one of its three products
  const Linear gate, up, down;
};

// softmax(q k^T / sqrt(head_dim) [+ causal mask]) v, scores in fp32.
// q [heads, S, d], k and v [heads, T, d] -> [heads, S, d]. Causal needs S == T.
at::Tensor Attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal);

}  // namespace diptych::nn
