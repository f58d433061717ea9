// The decoder of the AutoencoderKL that Z-Image uses: latent in, picture out.
// Source: diffusers autoencoder_kl.py and vae.py.
#pragma once

#include <memory>

#include "common/nn/tap.h"
#include "render_node/vae/config.h"

namespace diptych {
class WeightView;
}

namespace diptych::vae {

// Immutable after construction; may be called from several threads. What takes long pauses (common/nn/pieces.h).
class Decoder {
 public:
  // `w` is the root of the checkpoint.
  Decoder(const WeightView& w, const Config& config);
  ~Decoder();

  // z [C, h, w], what the network takes (see Unscale), any float dtype -> [3, h * scale, w * scale] in the compute
  // dtype, about -1..1, not clamped. Taps: "conv_in", "mid_block", "up_blocks.K", "conv_norm_out", "output", each with
  // a leading batch axis of 1.
  at::Tensor Decode(const at::Tensor& z, const Tap& tap = {}) const;

  // From the sampler's latent to what the network takes: latent / scaling_factor + shift_factor, in the compute dtype.
  at::Tensor Unscale(const at::Tensor& latent) const;

  const Config& config() const { return config_; }

 private:
  struct Network;
  const Config config_;
  const std::unique_ptr<const Network> network_;
};

// -1..1 to 8 bits, as the reference does it: clamp(x / 2 + 0.5, 0, 1) * 255, rounded half to even.
// image [3, H, W] -> uint8 [H, W, 3] on the CPU
at::Tensor ToBytes(const at::Tensor& image);

}  // namespace diptych::vae
