// Shapes: [1, channels, height, width] inside the network.
#include "render_node/vae/encoder.h"

#include <ATen/ATen.h>

#include <optional>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "common/nn/pieces.h"
#include "render_node/vae/blocks.h"

namespace diptych::vae {
namespace {

// layers_per_block residual blocks, then half the size, except in the last stage.
struct DownBlock {
  DownBlock(const WeightView& w, int64_t in, int64_t out, bool downsamples, const Config& c) {
    for (int64_t i = 0; i < c.layers_per_block; ++i) resnets.emplace_back(w / "resnets" / i, i == 0 ? in : out, out, c);
    if (downsamples) downsampler.emplace(w / "downsamplers" / 0 / "conv", out);
  }
  at::Tensor operator()(at::Tensor x) const {
    for (const ResnetBlock& resnet : resnets) x = resnet(x);
    return downsampler ? (*downsampler)(x) : x;
  }
  std::vector<ResnetBlock> resnets;
  std::optional<Downsampler> downsampler;
};

const Config& Supported(const Config& config) {
  if (!config.no_encoder.empty()) throw Error(ErrorCode::kInvalidArgument, config.no_encoder);
  return config;
}

}  // namespace

struct Encoder::Network {
  Network(const WeightView& w, const Config& c)
      : conv_in(w / "conv_in", c.block_out_channels.front(), 3, 3),
        mid_block(w / "mid_block", c.block_out_channels.back(), c),
        conv_norm_out(w / "conv_norm_out", c.block_out_channels.back(), c),
        conv_out(w / "conv_out", 2 * c.latent_channels, c.block_out_channels.back(), 3) {
    const int64_t stages = static_cast<int64_t>(c.block_out_channels.size());
    int64_t in = c.block_out_channels.front();
    for (int64_t i = 0; i < stages; ++i) {
      const int64_t out = c.block_out_channels[i];
      down_blocks.emplace_back(w / "down_blocks" / i, in, out, i + 1 < stages, c);
      in = out;
    }
  }

  const Conv conv_in;
  std::vector<DownBlock> down_blocks;
  const MidBlock mid_block;
  const GroupNorm conv_norm_out;
  const Conv conv_out;
};

Encoder::Encoder(const WeightView& w, const Config& config)
    : network_(std::make_unique<const Network>(w / "encoder", Supported(config))) {}
Encoder::~Encoder() = default;

at::Tensor Encoder::Encode(const at::Tensor& image, const Tap& tap) const {
  const at::InferenceMode no_gradients;
  const Network& net = *network_;
  const auto pass = [&tap](const std::string& name, const at::Tensor& value) {
    if (tap) tap(name, value);
    return value;
  };
  at::Tensor x = pass("conv_in", net.conv_in(image.unsqueeze(0).to(net.conv_in.weight.options())));
  for (size_t i = 0; i < net.down_blocks.size(); ++i) {
    x = pass("down_blocks." + std::to_string(i), net.down_blocks[i](std::move(x)));
  }
  x = pass("mid_block", net.mid_block(x));
  x = pass("conv_norm_out", net.conv_norm_out(x));
  return pass("output", net.conv_out(at::silu(x))).squeeze(0);
}

Posterior::Posterior(const at::Tensor& moments) {
  const std::vector<at::Tensor> halves = moments.chunk(2, 0);
  mean = halves[0];
  deviation = (halves[1].clamp(-30, 20) * 0.5).exp_();
}

at::Tensor Posterior::Sample(const at::Tensor& noise) const { return mean + deviation * noise; }

at::Tensor Scale(const at::Tensor& z, const Config& config) {
  return (z - config.shift_factor) * config.scaling_factor;
}

at::Tensor FromBytes(const at::Tensor& bytes) {
  const at::InferenceMode no_gradients;
  const at::Tensor rows = nn::ByRows(
      bytes, 3 * nn::kFlopsPerValue * static_cast<double>(bytes.size(1)),
      [](const at::Tensor& some, int64_t) { return some.to(at::kFloat).div_(255).mul_(2).sub_(1); });  // [H, W, 3]
  return rows.permute({2, 0, 1}).contiguous();
}

}  // namespace diptych::vae
