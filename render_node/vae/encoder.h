// The encoder of the AutoencoderKL that Z-Image uses: picture in, what its latent may be out.
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
class Encoder {
 public:
  // `w` is the root of the checkpoint. Throws Error(kInvalidArgument) naming the tensor that is missing or of another
  // shape, or what the configuration asks for that this encoder does not do (Config::no_encoder).
  Encoder(const WeightView& w, const Config& config);
  ~Encoder();

  // image [3, H, W] in -1..1, sides multiples of the scale, any float dtype -> moments [2 C, H / scale, W / scale] in
  // the compute dtype: C means, then C logarithms of variances. Taps: "conv_in", "down_blocks.K", "mid_block",
  // "conv_norm_out", "output", each with a leading batch axis of 1.
  at::Tensor Encode(const at::Tensor& image, const Tap& tap = {}) const;

 private:
  struct Network;
  const std::unique_ptr<const Network> network_;
};

// The normal distribution of latents that the encoder's moments [2 C, h, w] are, in the dtype of the moments.
struct Posterior {
  explicit Posterior(const at::Tensor& moments);
  at::Tensor Sample(const at::Tensor& noise) const;  // standard normal noise [C, h, w] -> [C, h, w]
  at::Tensor mean;                                   // [C, h, w], the mode as well
  at::Tensor deviation;  // [C, h, w]; exp(log variance / 2), the logarithm bounded to -30..20
};

// From what the encoder gives to the sampler's latent: (z - shift_factor) * scaling_factor, in z's dtype. The inverse
// of Decoder::Unscale.
at::Tensor Scale(const at::Tensor& z, const Config& config);

// 8 bits to -1..1 in fp32: 2 (b / 255) - 1.  bytes: uint8 [H, W, 3] -> [3, H, W]
at::Tensor FromBytes(const at::Tensor& bytes);

}  // namespace diptych::vae
