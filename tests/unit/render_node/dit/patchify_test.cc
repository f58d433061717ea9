#include "render_node/dit/patchify.h"

#include <ATen/ATen.h>

#include "gtest/gtest.h"

namespace diptych::dit {
namespace {

TEST(Patchify, PutsTheChannelFastestThenColumnThenRow) {
  const int64_t channels = 3, h = 4, w = 6;
  const at::Tensor latent = at::arange(channels * h * w, at::kFloat).reshape({channels, h, w});
  const at::Tensor tokens = Patchify(latent);
  ASSERT_EQ(tokens.sizes(), (at::IntArrayRef{6, 12}));
  for (int64_t i = 0; i < h / 2; ++i) {
    for (int64_t j = 0; j < w / 2; ++j) {
      for (int64_t ph = 0; ph < 2; ++ph) {
        for (int64_t pw = 0; pw < 2; ++pw) {
          for (int64_t c = 0; c < channels; ++c) {
            EXPECT_EQ(tokens[i * w / 2 + j][(ph * 2 + pw) * channels + c].item<float>(),
                      latent[c][2 * i + ph][2 * j + pw].item<float>());
          }
        }
      }
    }
  }
}

TEST(Patchify, UnpatchifyIsItsInverse) {
  const at::Tensor latent = at::rand({16, 10, 14});
  EXPECT_TRUE(Unpatchify(Patchify(latent), 10, 14).equal(latent));
}

}  // namespace
}  // namespace diptych::dit
