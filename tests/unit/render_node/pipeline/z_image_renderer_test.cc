// What the renderer does between conditioning as it comes over the wire and the pipeline.
#include "render_node/pipeline/z_image_renderer.h"

#include <ATen/ATen.h>

#include <cstring>
#include <memory>
#include <string>

#include "common/conditioning/long_prompt.h"
#include "gtest/gtest.h"
#include "tests/parity/support/golden.h"

namespace diptych {
namespace {

Conditioning ConditioningOf(const at::Tensor& rows, LongPromptMode mode) {  // rows [L, width] fp32, contiguous
  Conditioning conditioning;
  conditioning.header.rows = rows.size(0);
  conditioning.header.width = rows.size(1);
  conditioning.header.dtype = StateDtype::kFloat32;
  conditioning.header.long_prompt_mode = mode;
  conditioning.bytes.resize(static_cast<size_t>(rows.numel()) * sizeof(float));
  std::memcpy(conditioning.bytes.data(), rows.data_ptr<float>(), conditioning.bytes.size());
  return conditioning;
}

TEST(ZImageRenderer, ShortensUploadsOfMoreRowsThanTheTransformerTakes) {
  ZImageOptions options;
  options.transformer_path = parity::DataPath("toy_a/transformer");
  options.vae_path = parity::DataPath("toy_a/vae");
  options.scheduler_path = parity::DataPath("toy_a/scheduler");
  options.torch_dtype = "float32";
  options.device = options.vae_device = "cpu";
  const std::unique_ptr<PictureRenderer> renderer = LoadZImageRenderer(options);
  const int64_t limit = renderer->facts().row_limit;
  const at::Tensor rows = at::randn({limit + 40, renderer->facts().cap_feat_dim}, at::detail::createCPUGenerator(7));
  const RenderParameters parameters{.width = 32, .height = 32, .steps = 1, .seed = 7};
  const auto paint = [&](const Conditioning& conditioning) {
    return renderer->Render({.positive = conditioning, .parameters = parameters}).rgb;
  };
  for (const LongPromptMode mode : {LongPromptMode::kTruncate, LongPromptMode::kPool}) {
    const at::Tensor fitted = FitRows(rows, limit, mode).contiguous();
    ASSERT_EQ(fitted.size(0), limit);
    EXPECT_EQ(paint(ConditioningOf(rows, mode)), paint(ConditioningOf(fitted, mode)));
  }
}

}  // namespace
}  // namespace diptych
