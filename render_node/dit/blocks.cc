#include "render_node/dit/blocks.h"

#include <cmath>
#include <string>

#include "common/error/error.h"
#include "common/nn/pieces.h"

namespace diptych::dit {

using nn::Linear;

std::vector<Position> CaptionPositions(int64_t padded_rows) {
  std::vector<Position> positions;
  for (int64_t k = 0; k < padded_rows; ++k) positions.push_back({1 + k, 0, 0});
  return positions;
}

std::vector<Position> ImagePositions(int64_t token_rows, int64_t token_columns, int64_t padded_caption_rows) {
  std::vector<Position> positions;
  for (int64_t row = 0; row < token_rows; ++row) {
    for (int64_t column = 0; column < token_columns; ++column)
      positions.push_back({padded_caption_rows + 1, row, column});
  }
  positions.resize(RoundUp(token_rows * token_columns));  // pads at (0, 0, 0)
  return positions;
}

at::Tensor RotaryFactors(const std::vector<Position>& positions, const Config& config, at::Device device) {
  const int64_t tokens = static_cast<int64_t>(positions.size()), half = config.head_dim() / 2;
  at::Tensor angles = at::empty({tokens, half}, at::kFloat);
  float* out = angles.data_ptr<float>();
  std::vector<double> frequencies[3];  // of each axis
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t d = config.axes_dims[axis];
    for (int64_t k = 0; k < d / 2; ++k) {
      frequencies[axis].push_back(1.0 /
                                  std::pow(config.rope_theta, static_cast<double>(2 * k) / static_cast<double>(d)));
    }
  }
  constexpr size_t kPositionsOfAPiece = 1 << 16;
  for (size_t i = 0; i < positions.size(); ++i) {
    if (i % kPositionsOfAPiece == kPositionsOfAPiece - 1) nn::Worked(0, angles);
    const Position& position = positions[i];
    const int64_t place[3] = {position.caption, position.row, position.column};
    for (int axis = 0; axis < 3; ++axis) {
      if (place[axis] < 0 || place[axis] >= config.axes_lens[axis]) {
        throw Error(ErrorCode::kInvalidArgument, "position " + std::to_string(place[axis]) + " on axis " +
                                                     std::to_string(axis) + " is beyond this DiT's table of " +
                                                     std::to_string(config.axes_lens[axis]) + " (axes_lens)");
      }
      for (const double frequency : frequencies[axis]) {
        *out++ = static_cast<float>(static_cast<double>(place[axis]) * frequency);
      }
    }
  }
  return at::polar(at::ones_like(angles), angles).unsqueeze(1).to(device);  // complex [S, 1, d/2]
}

at::Tensor Joined(const std::vector<at::Tensor>& parts) { return parts.size() == 1 ? parts[0] : at::cat(parts); }

at::Tensor Rotate(const at::Tensor& x, const at::Tensor& factors) {
  const at::Tensor pairs = x.to(at::kFloat).reshape({x.size(0), x.size(1), x.size(2) / 2, 2});  // [S, H, d/2, 2]
  return at::view_as_real(at::view_as_complex(pairs) * factors).flatten(2).to(x.scalar_type());
}

Attention::Attention(const WeightView& w, const Config& c)
    : to_q(w / "to_q", c.dim, c.dim, false),
      to_k(w / "to_k", c.dim, c.dim, false),
      to_v(w / "to_v", c.dim, c.dim, false),
      to_out(w / "to_out" / 0, c.dim, c.dim, false),
      norm_q(w / "norm_q", c.head_dim(), 1e-5),  // the reference fixes this epsilon; it is not norm_eps
      norm_k(w / "norm_k", c.head_dim(), 1e-5),
      heads(c.n_heads) {}

at::Tensor Attention::operator()(const at::Tensor& x, const Layout& layout) const {
  const auto by_head = [this](const at::Tensor& y) {
    return y.view({y.size(0), heads, y.size(1) / heads});
  };  // [S, H, d]
  const auto rotated = [&](const nn::Linear& project, const nn::RmsNorm& norm) {
    return nn::ByRows(x, project.flops_per_row(), [&](const at::Tensor& rows, int64_t begin) {
      return Rotate(norm(by_head(project(rows))), layout.factors.narrow(0, begin, rows.size(0)));
    });
  };
  const auto in_pieces = [](const nn::Linear& project, const at::Tensor& y) {
    return nn::ByRows(y, project.flops_per_row(), [&](const at::Tensor& rows, int64_t) { return project(rows); });
  };
  const at::Tensor q = rotated(to_q, norm_q), k = rotated(to_k, norm_k), v = by_head(in_pieces(to_v, x));
  std::vector<at::Tensor> mixed;  // of each picture [S of it, H, d]; no mask, which would forbid the fast kernels
  int64_t begin = 0;
  for (const int64_t length : layout.lengths) {
    const auto own = [&](const at::Tensor& y) { return y.narrow(0, begin, length).transpose(0, 1); };  // [H, S, d]
    mixed.push_back(nn::Attention(own(q), own(k), own(v), /*causal=*/false).transpose(0, 1));
    begin += length;
  }
  return in_pieces(to_out, Joined(mixed).reshape(x.sizes()));
}

Block::Block(const WeightView& w, const Config& c)
    : attention(w / "attention", c),
      feed_forward(Linear(w / "feed_forward" / "w1", c.ffn_dim(), c.dim, false),
                   Linear(w / "feed_forward" / "w3", c.ffn_dim(), c.dim, false),
                   Linear(w / "feed_forward" / "w2", c.dim, c.ffn_dim(), false)),
      attention_norm1(w / "attention_norm1", c.dim, c.norm_eps),
      attention_norm2(w / "attention_norm2", c.dim, c.norm_eps),
      ffn_norm1(w / "ffn_norm1", c.dim, c.norm_eps),
      ffn_norm2(w / "ffn_norm2", c.dim, c.norm_eps) {}

// Only attention looks at more than one row: before and after it a long sequence goes in pieces.
at::Tensor Block::operator()(const at::Tensor& x, const Layout& layout, const Modulation* m) const {
  const double norm_flops = nn::kFlopsPerValue * static_cast<double>(x.size(1));
  const at::Tensor mixed = attention(nn::ByRows(x, norm_flops,
                                                [&](const at::Tensor& rows, int64_t) {
                                                  at::Tensor normed = attention_norm1(rows);
                                                  return m == nullptr ? normed : normed.mul_(m->scale_msa);
                                                }),
                                     layout);
  return nn::ByRows(x, feed_forward.flops_per_row(), [&](const at::Tensor& rows, int64_t begin) {
    at::Tensor attended = attention_norm2(mixed.narrow(0, begin, rows.size(0)));
    if (m == nullptr) {
      const at::Tensor h = rows + attended;
      return h + ffn_norm2(feed_forward(ffn_norm1(h)));
    }
    const at::Tensor h = rows + attended.mul_(m->gate_msa);
    return h + ffn_norm2(feed_forward(ffn_norm1(h).mul_(m->scale_mlp))).mul_(m->gate_mlp);
  });
}

ModulatedBlock::ModulatedBlock(const WeightView& w, const Config& c)
    : adaLN_modulation(w / "adaLN_modulation" / 0, 4 * c.dim, c.timestep_dim(), true), block(w, c) {}

at::Tensor ModulatedBlock::operator()(const at::Tensor& x, const Layout& layout, const at::Tensor& t_embedding) const {
  const std::vector<at::Tensor> parts = adaLN_modulation(t_embedding).chunk(4);  // no activation before this linear
  const Modulation modulation{
      .scale_msa = parts[0] + 1, .gate_msa = parts[1].tanh(), .scale_mlp = parts[2] + 1, .gate_mlp = parts[3].tanh()};
  return block(x, layout, &modulation);
}

}  // namespace diptych::dit
