// The facts of an AutoencoderKL, from vae/config.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diptych::vae {

struct Config {
  std::vector<int64_t> block_out_channels;  // from the picture's side to the latent's
  int64_t layers_per_block = 2;
  int64_t latent_channels = 16;
  int64_t norm_num_groups = 32;
  double scaling_factor = 1;
  double shift_factor = 0;

  // Pixels a latent pixel stands for, per side.
  int64_t scale() const { return int64_t{1} << (block_out_channels.size() - 1); }

  // Throws Error(kInvalidArgument) naming the key for anything missing or out of range, or that this model does not do
  // (quantisation convolutions, no attention in the middle, other blocks).
  static Config Parse(const std::string& json_text, const std::string& name);
};

}  // namespace diptych::vae
