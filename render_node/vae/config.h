// The facts of an AutoencoderKL, from vae/config.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diptych {
class Checkpoint;
}

namespace diptych::vae {

struct Config {
  std::vector<int64_t> block_out_channels;  // from the picture's side to the latent's
  int64_t layers_per_block = 2;
  int64_t latent_channels = 16;
  int64_t norm_num_groups = 32;
  double scaling_factor = 1;
  double shift_factor = 0;

  // Why the encoder of this model is none that we run, in one line naming the key; empty: it is one.
  std::string no_encoder;

  std::vector<std::string> warnings;  // one line each

  // Pixels a latent pixel stands for, per side.
  int64_t scale() const { return int64_t{1} << (block_out_channels.size() - 1); }

  // All facts in words: equal for the same model, however its file spells them. Those that the encoder alone has allow
  // one value each.
  std::string Identity() const;

  // What the file leaves out is as in diffusers' AutoencoderKL. Throws Error(kInvalidArgument) naming the key for
  // anything out of range or that this model does not do (a convolution before the decoder, no attention in the middle,
  // other blocks).
  static Config Parse(const std::string& json_text, const std::string& name);

  // What the shapes of the tensors tell; what they do not is as published for Z-Image, whose latents have 16 channels.
  // Throws Error(kInvalidArgument) for another number of them, and for what cannot be of its kind.
  static Config FromShapes(const Checkpoint& checkpoint);
};

}  // namespace diptych::vae
