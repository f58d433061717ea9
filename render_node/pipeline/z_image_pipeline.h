// From encoder rows to pixels: refine once, denoise, decode. The whole render side of one checkpoint.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

#include "render_node/pipeline/picture_renderer.h"
#include "render_node/pipeline/z_image_options.h"

namespace diptych {

// Weights are immutable after construction; Paint may be called from several threads but uses all cores in each.
class ZImagePipeline {
 public:
  // Throws Error naming file and tensor or key.
  explicit ZImagePipeline(const ZImageOptions& options);
  ~ZImagePipeline();

  // All but the fingerprints, which are a matter of files.
  const RendererFacts& facts() const;

  // positive, negative: encoder rows [L, cap_feat_dim], any float dtype; negative is undefined without guidance.
  // `on_latent` sees the latent [C, h, w] fp32 after each step (step 0: the initial noise). Throws as
  // PictureRenderer::Render.
  Picture Paint(const at::Tensor& positive, const at::Tensor& negative, const RenderParameters& parameters,
                const std::function<void(const RenderProgress&)>& on_progress, const CancelToken& cancel,
                const std::function<void(int step, const at::Tensor& latent)>& on_latent = {}) const;

 private:
  struct Models;
  const std::unique_ptr<const Models> models_;
};

}  // namespace diptych
