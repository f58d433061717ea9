#include "render_node/vae/blocks.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/nn/pieces.h"

namespace diptych::vae {
namespace {

at::Tensor Silu(at::Tensor x) { return at::silu_(x); }

}  // namespace

Conv::Conv(const WeightView& w, int64_t out, int64_t in, int64_t side)
    : weight((w / "weight").Tensor({out, in, side, side})), bias((w / "bias").Tensor({out})), padding(side / 2) {}

at::Tensor Conv::operator()(const at::Tensor& x) const {
  const int64_t h = x.size(2);
  const double flops_per_row = 2.0 * static_cast<double>(weight.numel()) * static_cast<double>(x.size(3));
  const int64_t strip = nn::RowsOfAPiece(h, flops_per_row, x.device());
  at::Tensor all;
  for (int64_t begin = 0; begin < h; begin += strip) {
    const int64_t rows = std::min(strip, h - begin), top = std::max<int64_t>(0, begin - padding);
    const at::Tensor seen = strip >= h ? x : x.slice(2, top, std::min(h, begin + rows + padding));
    at::Tensor part = at::conv2d(seen, weight, bias, 1, padding);
    nn::Worked(flops_per_row * static_cast<double>(rows), part);
    if (strip >= h) return part;
    if (begin == 0) all = at::empty({1, weight.size(0), h, x.size(3)}, part.options());
    all.narrow(2, begin, rows).copy_(part.narrow(2, begin - top, rows));
  }
  return all;
}

Downsampler::Downsampler(const WeightView& w, int64_t channels)
    : weight((w / "weight").Tensor({channels, channels, 3, 3})), bias((w / "bias").Tensor({channels})) {}

at::Tensor Downsampler::operator()(const at::Tensor& x) const {
  const int64_t h = x.size(2) / 2;
  const double flops_per_row = 2.0 * static_cast<double>(weight.numel()) * static_cast<double>(x.size(3) / 2);
  const int64_t strip = nn::RowsOfAPiece(h, flops_per_row, x.device());
  at::Tensor all;
  for (int64_t begin = 0; begin < h; begin += strip) {
    const int64_t rows = std::min(strip, h - begin), top = 2 * begin, bottom = 2 * (begin + rows) + 1;
    const at::Tensor seen = x.slice(2, top, std::min(x.size(2), bottom));
    const at::Tensor padded = at::constant_pad_nd(seen, {0, 1, 0, bottom - top - seen.size(2)});
    at::Tensor part = at::conv2d(padded, weight, bias, 2);
    nn::Worked(flops_per_row * static_cast<double>(rows), part);
    if (strip >= h) return part;
    if (begin == 0) all = at::empty({1, weight.size(0), h, part.size(3)}, part.options());
    all.narrow(2, begin, rows).copy_(part);
  }
  return all;
}

GroupNorm::GroupNorm(const WeightView& w, int64_t channels, const Config& c)
    : weight((w / "weight").Tensor({channels})), bias((w / "bias").Tensor({channels})), groups(c.norm_num_groups) {}

at::Tensor GroupNorm::operator()(const at::Tensor& x) const { return at::group_norm(x, groups, weight, bias, 1e-6); }

ResnetBlock::ResnetBlock(const WeightView& w, int64_t in, int64_t out, const Config& c)
    : norm1(w / "norm1", in, c),
      conv1(w / "conv1", out, in, 3),
      norm2(w / "norm2", out, c),
      conv2(w / "conv2", out, out, 3) {
  if (in != out) conv_shortcut.emplace(w / "conv_shortcut", out, in, 1);
}

at::Tensor ResnetBlock::operator()(const at::Tensor& x) const {
  at::Tensor h = conv2(Silu(norm2(conv1(Silu(norm1(x))))));
  return h.add_(conv_shortcut ? (*conv_shortcut)(x) : x);
}

AttentionBlock::AttentionBlock(const WeightView& w, int64_t channels, const Config& c)
    : group_norm(w / "group_norm", channels, c),
      to_q(w / "to_q", channels, channels, true),
      to_k(w / "to_k", channels, channels, true),
      to_v(w / "to_v", channels, channels, true),
      to_out(w / "to_out" / 0, channels, channels, true) {}

at::Tensor AttentionBlock::operator()(const at::Tensor& x) const {
  const at::Tensor places = group_norm(x).flatten(2).transpose(1, 2);                                  // [1, h w, C]
  const at::Tensor mixed = nn::Attention(to_q(places), to_k(places), to_v(places), /*causal=*/false);  // [1, h w, C]
  return x + to_out(mixed).transpose(1, 2).reshape(x.sizes());
}

MidBlock::MidBlock(const WeightView& w, int64_t channels, const Config& c)
    : before(w / "resnets" / 0, channels, channels, c),
      attention(w / "attentions" / 0, channels, c),
      after(w / "resnets" / 1, channels, channels, c) {}

}  // namespace diptych::vae
