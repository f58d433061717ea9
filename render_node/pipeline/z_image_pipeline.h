// From encoder rows to pixels: refine once, denoise, decode. The whole render side of one checkpoint.
#pragma once

#include <ATen/core/Tensor.h>

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
  // Throws as PictureRenderer::Render.
  Picture Paint(const at::Tensor& positive, const at::Tensor& negative, const RenderParameters& parameters,
                const RenderHooks& hooks, const CancelToken& cancel) const;

 private:
  struct Models;
  const std::unique_ptr<const Models> models_;
};

}  // namespace diptych
