// Latent pixels to image tokens and back. One token is a patch of 2 x 2 latent pixels.
#pragma once

#include <ATen/core/Tensor.h>

namespace diptych::dit {

// latent [C, h, w] -> tokens [h/2 * w/2, 4 C]; inside a token the channel is fastest, then the column, then the row of
// the patch: tokens[i * w/2 + j][(ph * 2 + pw) * C + c] = latent[c][2 i + ph][2 j + pw].
at::Tensor Patchify(const at::Tensor& latent);

// The exact inverse for a latent of h x w pixels.
at::Tensor Unpatchify(const at::Tensor& tokens, int64_t h, int64_t w);

}  // namespace diptych::dit
