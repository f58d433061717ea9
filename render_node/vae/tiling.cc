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

// The first `extent` rows (axis 1) or columns (axis 2) of `tile` become a mixture with the last of `before`, which is
// above it or left of it: all of the latter in the first row, almost none in the last.
void BlendInto(at::Tensor tile, const at::Tensor& before, int64_t axis, int64_t extent) {
  extent = std::min({extent, before.size(axis), tile.size(axis)});
  if (extent == 0) return;
  std::vector<float> falling, rising;
  for (int64_t i = 0; i < extent; ++i) {
    const double part = static_cast<double>(i) / static_cast<double>(extent);
    falling.push_back(static_cast<float>(1 - part));
    rising.push_back(static_cast<float>(part));
  }
  std::vector<int64_t> shape = {1, 1, 1};
  shape[static_cast<size_t>(axis)] = extent;
  const auto weights = [&](const std::vector<float>& values) {
    return at::tensor(values).view(shape).to(tile.device(), tile.scalar_type());
  };
  const at::Tensor place = tile.narrow(axis, 0, extent);
  const at::Tensor other = before.narrow(axis, before.size(axis) - extent, extent);
  place.copy_(other * weights(falling) + place * weights(rising));
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

at::Tensor EncodeTiled(const at::Tensor& image, int64_t scale, const Tiling& tiling,
                       const std::function<at::Tensor(const at::Tensor&)>& encode, const CancelToken& cancel) {
  const at::InferenceMode no_gradients;
  const int64_t height = image.size(1), width = image.size(2), tile_side = tiling.tile * scale;
  cancel.ThrowIfCancelled();
  if (height <= tile_side && width <= tile_side) return encode(image);

  const int64_t limit = tiling.tile - tiling.overlap, step = limit * scale;
  std::vector<at::Tensor> above, rows;
  for (int64_t top = 0; top < height; top += step) {
    std::vector<at::Tensor> row, shown;
    for (int64_t left = 0; left < width; left += step) {
      cancel.ThrowIfCancelled();
      const at::Tensor part =
          image.slice(1, top, std::min(height, top + tile_side)).slice(2, left, std::min(width, left + tile_side));
      const at::Tensor tile = encode(part);
      if (!above.empty()) BlendInto(tile, above[row.size()], 1, tiling.overlap);
      if (!row.empty()) BlendInto(tile, row.back(), 2, tiling.overlap);
      row.push_back(tile);
      shown.push_back(tile.slice(1, 0, limit).slice(2, 0, limit));
    }
    rows.push_back(at::cat(shown, 2));
    above = std::move(row);
  }
  return at::cat(rows, 1);
}

}  // namespace diptych::vae
