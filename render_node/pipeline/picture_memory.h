// What painting a picture takes beside the weights, known before the work. No libtorch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/image/decode_tiles.h"

namespace diptych {

// Of the models that are loaded, all that decides it.
struct PictureMemoryFacts {
  int64_t dim = 0;                              // DiT: features of a token
  int64_t ffn_dim = 0;                          // DiT: hidden features of the feed-forward
  int64_t heads = 0;                            // DiT
  int64_t caption_rows = 0;                     // DiT: tokens of a caption of the usual length
  int64_t element = 4;                          // DiT: bytes of a number
  int64_t pixels_a_token = 16;                  // a side
  int64_t pixels_a_latent = 8;                  // a side
  bool dit_on_host = true, vae_on_host = true;  // else that part takes none of this host's memory
  std::vector<int64_t> vae_channels;            // from the picture's side to the latent's
};

// Bytes, each an estimate from above; docs/performance.md, "Memory of a picture", has what was measured. Guidance adds
// nothing: its two evaluations come one after the other.
uint64_t StepBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, int32_t together = 1);
uint64_t DecodeBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling);
// Of a picture that another one begins as. No more than decoding where the VAE widens towards the latent.
uint64_t EncodeBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling);

// The most of this host's memory at any time, whether the picture begins as another one or not.
uint64_t PictureBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling);

}  // namespace diptych
