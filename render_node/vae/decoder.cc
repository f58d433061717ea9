// Shapes: [1, channels, height, width] inside the network.
#include "render_node/vae/vae.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <string>

#include "common/nn/layers.h"
#include "common/nn/pieces.h"
#include "common/weights/weight_view.h"

namespace diptych::vae {
namespace {

// Convolution with as much padding as keeps the size.
struct Conv {
  Conv(const WeightView& w, int64_t out, int64_t in, int64_t side)
      : weight((w / "weight").Tensor({out, in, side, side})), bias((w / "bias").Tensor({out})), padding(side / 2) {}
  // A large picture goes in strips, each with as many rows of its neighbours as its own border needs.
  at::Tensor operator()(const at::Tensor& x) const {  // [1, in, h, w] -> [1, out, h, w]
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
  const at::Tensor weight, bias;
  const int64_t padding;
};

struct GroupNorm {
  GroupNorm(const WeightView& w, int64_t channels, const Config& c)
      : weight((w / "weight").Tensor({channels})), bias((w / "bias").Tensor({channels})), groups(c.norm_num_groups) {}
  at::Tensor operator()(const at::Tensor& x) const { return at::group_norm(x, groups, weight, bias, 1e-6); }
  const at::Tensor weight, bias;
  const int64_t groups;
};

at::Tensor Silu(at::Tensor x) { return at::silu_(x); }

struct ResnetBlock {
  ResnetBlock(const WeightView& w, int64_t in, int64_t out, const Config& c)
      : norm1(w / "norm1", in, c),
        conv1(w / "conv1", out, in, 3),
        norm2(w / "norm2", out, c),
        conv2(w / "conv2", out, out, 3) {
    if (in != out) conv_shortcut.emplace(w / "conv_shortcut", out, in, 1);
  }
  at::Tensor operator()(const at::Tensor& x) const {
    at::Tensor h = conv2(Silu(norm2(conv1(Silu(norm1(x))))));
    return h.add_(conv_shortcut ? (*conv_shortcut)(x) : x);
  }
  const GroupNorm norm1;
  const Conv conv1;
  const GroupNorm norm2;
  const Conv conv2;
  std::optional<Conv> conv_shortcut;
};

// One head over all places of the picture, projections with bias.
struct AttentionBlock {
  AttentionBlock(const WeightView& w, int64_t channels, const Config& c)
      : group_norm(w / "group_norm", channels, c),
        to_q(w / "to_q", channels, channels, true),
        to_k(w / "to_k", channels, channels, true),
        to_v(w / "to_v", channels, channels, true),
        to_out(w / "to_out" / 0, channels, channels, true) {}
  at::Tensor operator()(const at::Tensor& x) const {
    const at::Tensor places = group_norm(x).flatten(2).transpose(1, 2);                                  // [1, h w, C]
    const at::Tensor mixed = nn::Attention(to_q(places), to_k(places), to_v(places), /*causal=*/false);  // [1, h w, C]
    return x + to_out(mixed).transpose(1, 2).reshape(x.sizes());
  }
  const GroupNorm group_norm;
  const nn::Linear to_q, to_k, to_v, to_out;
};

struct MidBlock {
  MidBlock(const WeightView& w, int64_t channels, const Config& c)
      : before(w / "resnets" / 0, channels, channels, c),
        attention(w / "attentions" / 0, channels, c),
        after(w / "resnets" / 1, channels, channels, c) {}
  at::Tensor operator()(const at::Tensor& x) const { return after(attention(before(x))); }
  const ResnetBlock before;
  const AttentionBlock attention;
  const ResnetBlock after;
};

// layers_per_block + 1 residual blocks, then twice the size (nearest) and a convolution, except in the last stage.
struct UpBlock {
  UpBlock(const WeightView& w, int64_t in, int64_t out, bool upsamples, const Config& c) {
    for (int64_t i = 0; i <= c.layers_per_block; ++i)
      resnets.emplace_back(w / "resnets" / i, i == 0 ? in : out, out, c);
    if (upsamples) upsampler.emplace(w / "upsamplers" / 0 / "conv", out, out, 3);
  }
  at::Tensor operator()(at::Tensor x) const {
    for (const ResnetBlock& resnet : resnets) x = resnet(x);
    if (upsampler) x = (*upsampler)(at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}));
    return x;
  }
  std::vector<ResnetBlock> resnets;
  std::optional<Conv> upsampler;
};

}  // namespace

struct Decoder::Network {
  Network(const WeightView& w, const Config& c)
      : conv_in(w / "conv_in", c.block_out_channels.back(), c.latent_channels, 3),
        mid_block(w / "mid_block", c.block_out_channels.back(), c),
        conv_norm_out(w / "conv_norm_out", c.block_out_channels.front(), c),
        conv_out(w / "conv_out", 3, c.block_out_channels.front(), 3) {
    const int64_t stages = static_cast<int64_t>(c.block_out_channels.size());
    int64_t in = c.block_out_channels.back();
    for (int64_t i = 0; i < stages; ++i) {
      const int64_t out = c.block_out_channels[stages - 1 - i];
      up_blocks.emplace_back(w / "up_blocks" / i, in, out, i + 1 < stages, c);
      in = out;
    }
  }

  const Conv conv_in;
  const MidBlock mid_block;
  std::vector<UpBlock> up_blocks;
  const GroupNorm conv_norm_out;
  const Conv conv_out;
};

Decoder::Decoder(const WeightView& w, const Config& config)
    : config_(config), network_(std::make_unique<const Network>(w / "decoder", config)) {}
Decoder::~Decoder() = default;

at::Tensor Decoder::Unscale(const at::Tensor& latent) const {
  return latent.to(network_->conv_in.weight.options()) / config_.scaling_factor + config_.shift_factor;
}

at::Tensor Decoder::Decode(const at::Tensor& z, const Tap& tap) const {
  const at::InferenceMode no_gradients;
  const Network& net = *network_;
  const auto pass = [&tap](const std::string& name, const at::Tensor& value) {
    if (tap) tap(name, value);
    return value;
  };
  at::Tensor x = pass("conv_in", net.conv_in(z.unsqueeze(0).to(net.conv_in.weight.options())));
  x = pass("mid_block", net.mid_block(x));
  for (size_t i = 0; i < net.up_blocks.size(); ++i) x = pass("up_blocks." + std::to_string(i), net.up_blocks[i](x));
  x = pass("conv_norm_out", net.conv_norm_out(x));
  return pass("output", net.conv_out(at::silu(x))).squeeze(0);
}

at::Tensor ToBytes(const at::Tensor& image) {
  const at::InferenceMode no_gradients;
  const at::Tensor rows = image.transpose(0, 1);  // [H, 3, W]
  return nn::ByRows(rows, 3 * nn::kFlopsPerValue * static_cast<double>(image.size(2)),
                    [](const at::Tensor& some, int64_t) {
                      const at::Tensor unit = (some * 0.5 + 0.5).clamp_(0, 1);
                      return unit.transpose(1, 2).to(at::kCPU, at::kFloat).mul(255).round_().to(at::kByte).contiguous();
                    });  // [H, W, 3]
}

}  // namespace diptych::vae
