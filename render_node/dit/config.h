// The facts of a Z-Image transformer, from transformer/config.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/conditioning/row_limit.h"

namespace diptych {
class Checkpoint;
}

namespace diptych::dit {

inline constexpr int64_t kPatch = 2;  // latent pixels a side of one image token

struct Config {
  int64_t in_channels = 0;  // of the latent
  int64_t dim = 0;
  int64_t n_layers = 0;
  int64_t n_refiner_layers = 0;
  int64_t n_heads = 0;
  int64_t cap_feat_dim = 0;        // width of the text encoder's rows
  std::vector<int64_t> axes_dims;  // channels of a head that each of the three position axes turns
  std::vector<int64_t> axes_lens;  // positions that each axis knows
  double norm_eps = 1e-5;
  double rope_theta = 256;
  double t_scale = 1000;

  std::vector<std::string> warnings;  // one line each

  int64_t head_dim() const { return dim / n_heads; }
  int64_t ffn_dim() const { return static_cast<int64_t>(static_cast<double>(dim) / 3 * 8); }
  int64_t timestep_dim() const { return dim < 256 ? dim : 256; }  // width of the time embedding
  int64_t row_limit() const { return RowLimitOf(axes_lens[0]); }  // most caption rows
  // Most latent pixels a side.
  int64_t max_latent_side() const { return kPatch * (axes_lens[1] < axes_lens[2] ? axes_lens[1] : axes_lens[2]); }

  // Floating-point operations of one block over so many tokens.
  double block_flop(int64_t tokens) const {
    const double t = static_cast<double>(tokens), d = static_cast<double>(dim);
    return 2 * t * d * (4 * d + 3 * static_cast<double>(ffn_dim())) + 4 * t * t * d;
  }

  // All facts in words: equal for the same model, however its file spells them.
  std::string Identity() const;

  // What the file leaves out is as in diffusers' ZImageTransformer2DModel. Throws Error(kInvalidArgument) naming the
  // key for anything out of range or that this model does not do (other patch sizes, no q/k norm, omni, quantised
  // weights).
  static Config Parse(const std::string& json_text, const std::string& name);

  // What the shapes of the tensors tell; what they do not is as published for Z-Image. Throws Error(kInvalidArgument)
  // for heads of another width than Z-Image's, of which no file but a config.json says how positions turn them.
  static Config FromShapes(const Checkpoint& checkpoint);
};

inline int64_t RoundUp(int64_t n) { return (n + kSequenceMultiple - 1) / kSequenceMultiple * kSequenceMultiple; }

}  // namespace diptych::dit
