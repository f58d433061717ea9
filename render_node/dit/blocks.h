// The transformer block that refiners and main layers share, and its rotary positions.
// Shapes: S tokens of a sequence, D dim, H heads, d head_dim, E width of the time embedding.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "common/nn/layers.h"
#include "common/weights/weight_view.h"
#include "render_node/dit/config.h"

namespace diptych::dit {

// One token's place: caption row, image row, image column (transformer_z_image.py, create_coordinate_grid).
struct Position {
  int64_t caption = 0, row = 0, column = 0;
};

// Rows k = 0 .. padded - 1 of the caption, pads included, sit at (1 + k, 0, 0).
std::vector<Position> CaptionPositions(int64_t padded_rows);
// Image tokens sit at (padded caption rows + 1, row, column); image pads at the origin.
std::vector<Position> ImagePositions(int64_t token_rows, int64_t token_columns, int64_t padded_caption_rows);

// e^(i angle) of each token's head channels, complex [S, 1, d/2]. Angles are formed in fp64 and rounded once to fp32.
// Throws Error(kInvalidArgument) for a position beyond axes_lens.
at::Tensor RotaryFactors(const std::vector<Position>& positions, const Config& config, at::Device device);

// The tokens of one picture, or of several in one matrix, one picture after another.
struct Layout {
  at::Tensor factors;            // complex [S, 1, d/2], as RotaryFactors gives them for each
  std::vector<int64_t> lengths;  // tokens of each picture, S in all: a token attends to those of its own picture alone
};

// One after another along the first axis; a single one as it is, without a copy.
at::Tensor Joined(const std::vector<at::Tensor>& parts);

// Turns adjacent pairs (2m, 2m+1) in fp32.  x [S, H, d], factors complex [S, 1, d/2] -> as x
at::Tensor Rotate(const at::Tensor& x, const at::Tensor& factors);

// What the time embedding tells one block; each [D].
struct Modulation {
  at::Tensor scale_msa, gate_msa, scale_mlp, gate_mlp;
};

struct Attention {
  Attention(const WeightView& w, const Config& c);
  at::Tensor operator()(const at::Tensor& x, const Layout& layout) const;  // x [S, D] -> [S, D]
  const nn::Linear to_q, to_k, to_v, to_out;
  const nn::RmsNorm norm_q, norm_k;
  const int64_t heads;
};

// x + gate * norm2(attn(norm1(x) * scale)), then the same around the feed-forward. Without modulation: the context
// refiner's block.
struct Block {
  Block(const WeightView& w, const Config& c);
  at::Tensor operator()(const at::Tensor& x, const Layout& layout,
                        const Modulation* modulation) const;  // [S, D] -> [S, D]
  const Attention attention;
  const nn::SwiGlu feed_forward;
  const nn::RmsNorm attention_norm1, attention_norm2, ffn_norm1, ffn_norm2;
};

// A block steered by the time embedding: noise refiners and main layers.
struct ModulatedBlock {
  ModulatedBlock(const WeightView& w, const Config& c);
  at::Tensor operator()(const at::Tensor& x, const Layout& layout, const at::Tensor& t_embedding) const;
  const nn::Linear adaLN_modulation;  // [4 D, E]; the checkpoint's name
  const Block block;
};

}  // namespace diptych::dit
