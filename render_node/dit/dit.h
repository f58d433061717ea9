// The Z-Image transformer: a noisy latent, a time and a refined caption in, a velocity out.
// Source: diffusers transformer_z_image.py.
#pragma once

#include <memory>
#include <vector>

#include "common/nn/tap.h"
#include "render_node/dit/config.h"

namespace diptych {
class WeightView;
}

namespace diptych::dit {

// Everything about one picture that no step changes.
struct Canvas;

// Immutable after construction; may be called from several threads. What takes long pauses (common/nn/pieces.h).
class Dit {
 public:
  Dit(const WeightView& w, const Config& config);
  ~Dit();

  // h, w: latent pixels, even. `refined_caption` [Lp, dim] as ContextRefiner::Refine returns it. Throws
  // Error(kInvalidArgument) for a side beyond the position tables.
  std::shared_ptr<const Canvas> Prepare(int64_t h, int64_t w, const at::Tensor& refined_caption) const;

  // latent [C, h, w] fp32; t = 1 - sigma, 0 is noise and 1 is clean -> [C, h, w] fp32, the network's raw output, which
  // points from noise to data: negate it once for d latent / d sigma. Taps: "t_embedder", "x_embedder",
  // "noise_refiner.K", "layers.K".
  at::Tensor Velocity(const at::Tensor& latent, double t, const Canvas& canvas, const Tap& tap = {}) const;

  // The same of several pictures at one time t, at least one: each on its canvas, of whatever size and caption. Their
  // tokens pass the network as one long sequence, without filler; only attention keeps them apart. So the values are
  // those of Velocity but for the rounding of larger matrix products, and of one picture they are exactly those. Taps
  // see the tokens of all, one picture after another.
  std::vector<at::Tensor> Velocities(const std::vector<at::Tensor>& latents, double t,
                                     const std::vector<const Canvas*>& canvases, const Tap& tap = {}) const;

 private:
  struct Network;
  const Config config_;
  const std::unique_ptr<const Network> network_;
};

}  // namespace diptych::dit
