// How many rows a Z-Image transformer takes: for the renderer that has one, and for a client that fits rows to one.
#pragma once

#include <cstdint>

namespace diptych {

// Sequences (image, caption) are padded to multiples of this with learned pad tokens.
inline constexpr int64_t kSequenceMultiple = 32;

// `caption_positions`: axes_lens[0] of transformer/config.json. Positions 1 .. Lp for the padded caption and Lp + 1 for
// the image lie below it (diffusers transformer_z_image.py, create_coordinate_grid and patchify_and_embed).
constexpr int64_t RowLimitOf(int64_t caption_positions) {
  return (caption_positions - 2) / kSequenceMultiple * kSequenceMultiple;
}

// Of Z-Image-Turbo, which has 1536 positions.
inline constexpr int64_t kTurboRowLimit = RowLimitOf(1536);

}  // namespace diptych
