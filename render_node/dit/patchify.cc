#include "render_node/dit/patchify.h"

#include <ATen/ATen.h>

#include "render_node/dit/config.h"

namespace diptych::dit {

at::Tensor Patchify(const at::Tensor& latent) {
  const int64_t channels = latent.size(0), rows = latent.size(1) / kPatch, columns = latent.size(2) / kPatch;
  return latent
      .reshape({channels, rows, kPatch, columns, kPatch})  // [C, i, ph, j, pw]
      .permute({1, 3, 2, 4, 0})                            // [i, j, ph, pw, C]
      .reshape({rows * columns, kPatch * kPatch * channels});
}

at::Tensor Unpatchify(const at::Tensor& tokens, int64_t h, int64_t w) {
  const int64_t rows = h / kPatch, columns = w / kPatch, channels = tokens.size(1) / (kPatch * kPatch);
  return tokens
      .reshape({rows, columns, kPatch, kPatch, channels})  // [i, j, ph, pw, C]
      .permute({4, 0, 2, 1, 3})                            // [C, i, ph, j, pw]
      .reshape({channels, h, w});
}

}  // namespace diptych::dit
