#include "render_node/vae/tiling.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace diptych::vae {
namespace {

// Weights along one axis of a tile, in pixels: rising over `ramp_in` pixels, falling over `ramp_out`, one between;
// never zero.
at::Tensor Ramp(int64_t pixels, int64_t ramp_in, int64_t ramp_out) {
  at::Tensor weights = at::ones({pixels}, at::kFloat);
  float* w = weights.data_ptr<float>();
  for (int64_t i = 0; i < ramp_in; ++i) w[i] *= static_cast<float>(i + 1) / static_cast<float>(ramp_in + 1);
  for (int64_t i = 0; i < ramp_out; ++i)
    w[pixels - 1 - i] *= static_cast<float>(i + 1) / static_cast<float>(ramp_out + 1);
  return weights;
}

// The weights of every tile along one axis. A ramp is as wide as the overlap with that neighbour.
std::vector<at::Tensor> Ramps(const std::vector<int64_t>& starts, int64_t length, int64_t scale) {
  std::vector<at::Tensor> ramps;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t before = i == 0 ? 0 : starts[i - 1] + length - starts[i];
    const int64_t after = i + 1 == starts.size() ? 0 : starts[i] + length - starts[i + 1];
    ramps.push_back(Ramp(length * scale, before * scale, after * scale));
  }
  return ramps;
}

}  // namespace

std::vector<int64_t> TileStarts(int64_t size, const Tiling& tiling) {
  std::vector<int64_t> starts = {0};
  while (starts.back() + tiling.tile < size) {
    starts.push_back(std::min(starts.back() + tiling.tile - tiling.overlap, size - tiling.tile));
  }
  return starts;
}

at::Tensor DecodeTiled(const at::Tensor& z, int64_t scale, const Tiling& tiling,
                       const std::function<at::Tensor(const at::Tensor&)>& decode, const CancelToken& cancel,
                       const std::function<void(int64_t done, int64_t tiles)>& on_tile) {
  const at::InferenceMode no_gradients;
  const int64_t h = z.size(1), w = z.size(2);
  cancel.ThrowIfCancelled();
  if (h <= tiling.tile && w <= tiling.tile) return decode(z).to(at::kFloat);

  const std::vector<int64_t> rows = TileStarts(h, tiling), columns = TileStarts(w, tiling);
  const int64_t tile_h = std::min(h, tiling.tile), tile_w = std::min(w, tiling.tile);
  const std::vector<at::Tensor> row_ramps = Ramps(rows, tile_h, scale), column_ramps = Ramps(columns, tile_w, scale);
  const at::TensorOptions wide = z.options().dtype(at::kFloat);
  at::Tensor sum = at::zeros({3, h * scale, w * scale}, wide), weight = at::zeros({1, h * scale, w * scale}, wide);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < columns.size(); ++c) {
      cancel.ThrowIfCancelled();
      const at::Tensor tile = z.slice(1, rows[r], rows[r] + tile_h).slice(2, columns[c], columns[c] + tile_w);
      const at::Tensor mask =
          (row_ramps[r].unsqueeze(1) * column_ramps[c].unsqueeze(0)).to(wide.device());  // [tile_h, tile_w] in pixels
      const auto place = [&](const at::Tensor& canvas) {
        return canvas.slice(1, rows[r] * scale, (rows[r] + tile_h) * scale)
            .slice(2, columns[c] * scale, (columns[c] + tile_w) * scale);
      };
      place(sum).add_(decode(tile).to(at::kFloat) * mask);
      place(weight).add_(mask);
      if (on_tile) {
        on_tile(static_cast<int64_t>(r * columns.size() + c + 1), static_cast<int64_t>(rows.size() * columns.size()));
      }
    }
  }
  return sum.div_(weight);
}

}  // namespace diptych::vae
