// Large pictures in overlapping tiles.
//
// Decoding blends them without seams and without a frame at the picture's border. Unlike diffusers' tiled_decode:
// weighted, with no ramp on an edge that is the picture's, and no tile twice. Encoding is diffusers' tiled_encode.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "common/concurrency/cancel_token.h"

namespace diptych::vae {

struct Tiling {
  int64_t tile = 64;    // latent pixels a side
  int64_t overlap = 8;  // latent pixels that neighbours share at least; below `tile`
};

// Where tiles begin along an axis of `size` latent pixels: steps of tile - overlap, the last one moved back to be full.
// {0} when one tile covers it.
std::vector<int64_t> TileStarts(int64_t size, const Tiling& tiling);

// decode: z [C, h, w] -> [3, h * scale, w * scale]. One call when `z` fits a tile; else tile by tile, each weighted by
// a linear ramp over the part that it shares with a neighbour. Returns fp32. Throws Error(kCancelled) between tiles.
// on_tile: how many are done, and of how many, after each of several; may be empty.
at::Tensor DecodeTiled(const at::Tensor& z, int64_t scale, const Tiling& tiling,
                       const std::function<at::Tensor(const at::Tensor&)>& decode, const CancelToken& cancel,
                       const std::function<void(int64_t done, int64_t tiles)>& on_tile = {});

// encode: image [3, H, W] -> moments [2 C, H / scale, W / scale], which may be written to; sides multiples of `scale`.
// One call when the image fits a tile; else a tile each (tile - overlap) latent pixels, those at the right and the lower
// edge as small as what is left, each blended over `overlap` latent pixels with what is above it, then with what is left
// of it, as these were blended before. Throws Error(kCancelled) between tiles.
at::Tensor EncodeTiled(const at::Tensor& image, int64_t scale, const Tiling& tiling,
                       const std::function<at::Tensor(const at::Tensor&)>& encode, const CancelToken& cancel);

}  // namespace diptych::vae
