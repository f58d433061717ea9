// Shapes: [1, channels, height, width] inside the network.
#include "render_node/vae/decoder.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>

#include "common/nn/pieces.h"
#include "render_node/vae/blocks.h"

namespace diptych::vae {
namespace {

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
