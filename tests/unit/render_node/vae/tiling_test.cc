#include "render_node/vae/tiling.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "gtest/gtest.h"

namespace diptych::vae {
namespace {

constexpr int64_t kScale = 4;

// A decoder without a neighbourhood: each latent pixel becomes a square of its first three channels.
at::Tensor Magnify(const at::Tensor& z) {
  return z.slice(0, 0, 3).repeat_interleave(kScale, 1).repeat_interleave(kScale, 2);
}

TEST(TileStarts, StepByTileLessOverlapAndEndWithAFullTile) {
  const Tiling tiling{.tile = 64, .overlap = 8};
  EXPECT_EQ(TileStarts(64, tiling), (std::vector<int64_t>{0}));
  EXPECT_EQ(TileStarts(40, tiling), (std::vector<int64_t>{0}));
  EXPECT_EQ(TileStarts(65, tiling), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(TileStarts(128, tiling), (std::vector<int64_t>{0, 56, 64}));
  EXPECT_EQ(TileStarts(120, tiling), (std::vector<int64_t>{0, 56}));  // no duplicate of the last tile
  EXPECT_EQ(TileStarts(256, tiling), (std::vector<int64_t>{0, 56, 112, 168, 192}));
}

TEST(DecodeTiled, EqualsThePlainDecodeWhenPixelsHaveNoNeighbours) {
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{30, 50}, {16, 16}, {8, 100}, {17, 33}}) {
    const at::Tensor z = at::rand({16, h, w});
    const at::Tensor tiled = DecodeTiled(z, kScale, {.tile = 16, .overlap = 4}, Magnify, CancelToken());
    EXPECT_TRUE(tiled.allclose(Magnify(z), 1e-5, 1e-6)) << h << " x " << w;
  }
}

TEST(DecodeTiled, AlsoWithoutOverlap) {
  const at::Tensor z = at::rand({16, 20, 37});
  EXPECT_TRUE(
      DecodeTiled(z, kScale, {.tile = 16, .overlap = 0}, Magnify, CancelToken()).allclose(Magnify(z), 1e-5, 1e-6));
}

TEST(DecodeTiled, BlendsTilesThatDisagreeWithoutAStep) {
  int tiles = 0;
  const auto disagree = [&](const at::Tensor& z) { return Magnify(z) * 0 + static_cast<double>(tiles++); };
  const at::Tensor row =
      DecodeTiled(at::zeros({16, 16, 28}), kScale, {.tile = 16, .overlap = 4}, disagree, CancelToken())[0][0];
  EXPECT_EQ(tiles, 2);
  EXPECT_EQ(row[0].item<float>(), 0);  // the outermost pixel is the first tile's alone: no frame
  EXPECT_EQ(row[-1].item<float>(), 1);
  const at::Tensor steps = (row.slice(0, 1) - row.slice(0, 0, -1)).abs();
  EXPECT_LE(steps.max().item<float>(), 1.0 / (4 * kScale));
}

TEST(DecodeTiled, DecodesOnceWhatFitsATile) {
  int calls = 0;
  const auto count = [&](const at::Tensor& z) {
    ++calls;
    return Magnify(z);
  };
  DecodeTiled(at::zeros({16, 16, 16}), kScale, {.tile = 16, .overlap = 4}, count, CancelToken());
  EXPECT_EQ(calls, 1);
}

TEST(DecodeTiled, TellsOfEveryTile) {
  std::vector<std::pair<int64_t, int64_t>> told;
  const auto tell = [&](int64_t done, int64_t tiles) { told.emplace_back(done, tiles); };
  DecodeTiled(at::zeros({16, 28, 16}), kScale, {.tile = 16, .overlap = 4}, Magnify, CancelToken(), tell);
  EXPECT_EQ(told, (std::vector<std::pair<int64_t, int64_t>>{{1, 2}, {2, 2}}));
  told.clear();
  DecodeTiled(at::zeros({16, 16, 16}), kScale, {.tile = 16, .overlap = 4}, Magnify, CancelToken(), tell);
  EXPECT_TRUE(told.empty()) << "one is the whole";
}

TEST(DecodeTiled, StopsBetweenTiles) {
  const CancelToken cancel;
  int calls = 0;
  const auto once = [&](const at::Tensor& z) {
    ++calls;
    cancel.Cancel();
    return Magnify(z);
  };
  EXPECT_THROW(DecodeTiled(at::zeros({16, 64, 64}), kScale, {.tile = 16, .overlap = 4}, once, cancel), Error);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace diptych::vae
