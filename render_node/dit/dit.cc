// Shapes: C latent channels, N image tokens, Np and Lp padded image and caption lengths, D dim, E width of the time
// embedding.
#include "render_node/dit/dit.h"

#include <cmath>
#include <string>
#include <utility>

#include "common/error/error.h"
#include "common/nn/pieces.h"
#include "render_node/dit/blocks.h"
#include "render_node/dit/patchify.h"

namespace diptych::dit {
namespace {

using nn::Linear;

// Sinusoids of the time, cosines first, through a small MLP.
struct TimestepEmbedder {
  static constexpr int64_t kWaves = 256, kHidden = 1024;  // whatever the width of the embedding
  TimestepEmbedder(const WeightView& w, const Config& c)
      : mlp0(w / "mlp" / 0, kHidden, kWaves, true),
        mlp2(w / "mlp" / 2, c.timestep_dim(), kHidden, true),
        t_scale(c.t_scale) {}

  at::Tensor operator()(double t) const {  // -> [E]
    const at::TensorOptions wide = at::TensorOptions().dtype(at::kFloat).device(mlp0.weight.options().device());
    constexpr int64_t half = kWaves / 2;
    const at::Tensor frequency = at::exp(at::arange(0, half, wide) * -std::log(10000.0) / static_cast<double>(half));
    const float scaled = static_cast<float>(t) * static_cast<float>(t_scale);  // fp32, as the reference forms it
    const at::Tensor angle = frequency * scaled;
    const at::Tensor waves = at::cat({angle.cos(), angle.sin()});  // [256]
    return mlp2(at::silu(mlp0(waves.to(mlp0.weight.options().dtype()))));
  }

  const Linear mlp0, mlp2;
  const double t_scale;
};

// Patches out of tokens: a LayerNorm without parameters, scaled by the time, and a linear.
struct FinalLayer {
  FinalLayer(const WeightView& w, const Config& c)
      : linear(w / "linear", kPatch * kPatch * c.in_channels, c.dim, true),
        adaLN_modulation(w / "adaLN_modulation" / 1, c.dim, c.timestep_dim(), true),
        dim(c.dim) {}

  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t_embedding) const {  // [N, D] -> [N, 4 C]
    const at::Tensor scale = adaLN_modulation(at::silu(t_embedding)) + 1;            // here SiLU comes first
    return nn::ByRows(x, nn::kFlopsPerValue * static_cast<double>(dim), [&](const at::Tensor& rows, int64_t) {
      return linear(at::layer_norm(rows, {dim}, {}, {}, 1e-6).mul_(scale));
    });
  }

  const Linear linear, adaLN_modulation;
  const int64_t dim;
};

}  // namespace

struct Canvas {
  int64_t h = 0, w = 0;  // latent pixels
  at::Tensor caption;    // [Lp, D], refined
  Layout image;          // of Np tokens
  Layout unified;        // of Np + Lp tokens: image first, then caption

  int64_t tokens() const { return h / kPatch * (w / kPatch); }  // N
};

namespace {

Layout Join(const std::vector<const Canvas*>& canvases, Layout Canvas::*part) {
  std::vector<at::Tensor> factors;
  Layout joined;
  for (const Canvas* canvas : canvases) {
    const Layout& layout = canvas->*part;
    factors.push_back(layout.factors);
    joined.lengths.insert(joined.lengths.end(), layout.lengths.begin(), layout.lengths.end());
  }
  joined.factors = Joined(factors);
  return joined;
}

}  // namespace

struct Dit::Network {
  Network(const WeightView& w, const Config& c)
      : t_embedder(w / "t_embedder", c),
        x_embedder(w / "all_x_embedder" / "2-1", c.dim, kPatch * kPatch * c.in_channels, true),
        x_pad_token((w / "x_pad_token").Tensor({1, c.dim})),
        final_layer(w / "all_final_layer" / "2-1", c) {
    for (int64_t i = 0; i < c.n_refiner_layers; ++i) noise_refiner.emplace_back(w / "noise_refiner" / i, c);
    for (int64_t i = 0; i < c.n_layers; ++i) layers.emplace_back(w / "layers" / i, c);
  }

  const TimestepEmbedder t_embedder;
  const Linear x_embedder;
  const at::Tensor x_pad_token;  // [1, D]
  std::vector<ModulatedBlock> noise_refiner, layers;
  const FinalLayer final_layer;
};

Dit::Dit(const WeightView& w, const Config& config)
    : config_(config), network_(std::make_unique<const Network>(w, config)) {}
Dit::~Dit() = default;

std::shared_ptr<const Canvas> Dit::Prepare(int64_t h, int64_t w, const at::Tensor& refined_caption) const {
  if (h < kPatch || w < kPatch || h % kPatch != 0 || w % kPatch != 0) {
    throw Error(ErrorCode::kInvalidArgument, "a latent of " + std::to_string(h) + " x " + std::to_string(w) +
                                                 " cannot be cut into patches of " + std::to_string(kPatch));
  }
  const at::InferenceMode no_gradients;
  const at::Device device = network_->x_pad_token.device();
  const int64_t padded_caption = refined_caption.size(0);
  auto canvas = std::make_shared<Canvas>();
  canvas->h = h;
  canvas->w = w;
  canvas->caption = refined_caption;
  const at::Tensor factors = RotaryFactors(ImagePositions(h / kPatch, w / kPatch, padded_caption), config_, device);
  canvas->image = {factors, {factors.size(0)}};
  canvas->unified = {at::cat({factors, RotaryFactors(CaptionPositions(padded_caption), config_, device)}),
                     {factors.size(0) + padded_caption}};
  return canvas;
}

at::Tensor Dit::Velocity(const at::Tensor& latent, double t, const Canvas& canvas, const Tap& tap) const {
  return Velocities({latent}, t, {&canvas}, tap)[0];
}

// A sum over the pictures is written with a plus sign: N+ tokens, Np+ with pads.
std::vector<at::Tensor> Dit::Velocities(const std::vector<at::Tensor>& latents, double t,
                                        const std::vector<const Canvas*>& canvases, const Tap& tap) const {
  const at::InferenceMode no_gradients;
  const Network& net = *network_;

  const at::Tensor t_embedding = net.t_embedder(t);  // [E]
  if (tap) tap("t_embedder", t_embedding);

  std::vector<at::Tensor> parts;
  for (const at::Tensor& latent : latents) parts.push_back(Patchify(latent.to(net.x_pad_token.options())));
  at::Tensor x = net.x_embedder(Joined(std::exchange(parts, {})));  // [N+, D]
  for (int64_t begin = 0; const Canvas* canvas : canvases) {
    const int64_t tokens = canvas->tokens();
    parts.push_back(x.narrow(0, begin, tokens));
    parts.push_back(net.x_pad_token.expand({RoundUp(tokens) - tokens, config_.dim}));
    begin += tokens;
  }
  x = at::cat(std::exchange(parts, {}));  // [Np+, D]; pads are ordinary tokens from here
  if (tap) tap("x_embedder", x);
  const Layout image = Join(canvases, &Canvas::image);
  for (size_t i = 0; i < net.noise_refiner.size(); ++i) {
    x = net.noise_refiner[i](x, image, t_embedding);
    if (tap) tap("noise_refiner." + std::to_string(i), x);
  }

  for (int64_t begin = 0; const Canvas* canvas : canvases) {
    const int64_t padded = RoundUp(canvas->tokens());
    parts.push_back(x.narrow(0, begin, padded));
    parts.push_back(canvas->caption);
    begin += padded;
  }
  x = at::cat(std::exchange(parts, {}));  // [(Np + Lp)+, D]
  const Layout unified = Join(canvases, &Canvas::unified);
  for (size_t i = 0; i < net.layers.size(); ++i) {
    x = net.layers[i](x, unified, t_embedding);
    if (tap) tap("layers." + std::to_string(i), x);
  }

  for (int64_t begin = 0; const Canvas* canvas : canvases) {
    parts.push_back(x.narrow(0, begin, canvas->tokens()));
    begin += RoundUp(canvas->tokens()) + canvas->caption.size(0);
  }
  const at::Tensor patches = net.final_layer(Joined(parts), t_embedding);  // [N+, 4 C]
  std::vector<at::Tensor> outputs;
  for (int64_t begin = 0; const Canvas* canvas : canvases) {
    outputs.push_back(
        Unpatchify(patches.narrow(0, begin, canvas->tokens()), canvas->h, canvas->w).to(at::kFloat));  // [C, h, w]
    begin += canvas->tokens();
  }
  return outputs;
}

}  // namespace diptych::dit
