// From encoder rows, and a source where there is one, to pixels: refine once, denoise, decode. The whole render side of
// one checkpoint.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "render_node/pipeline/picture_renderer.h"
#include "render_node/pipeline/z_image_options.h"

namespace diptych {

struct PartSource;

// One of several pictures that are painted together.
struct PaintMember {
  // Encoder rows [L, cap_feat_dim], any float dtype; negative is undefined without guidance.
  at::Tensor positive = {}, negative = {};
  RenderParameters parameters = {};
  const Picture* source = nullptr;    // as in RenderRequest
  const GreyPicture* mask = nullptr;  // likewise
  RenderHooks hooks = {};
  CancelToken cancel = {};
};

// Weights are immutable after construction; Paint may be called from several threads but uses all cores in each.
class ZImagePipeline {
 public:
  // Throws Error naming file and tensor or key.
  explicit ZImagePipeline(const ZImageOptions& options);
  ~ZImagePipeline();

  // All but the fingerprints, which are a matter of files.
  const RendererFacts& facts() const;

  // What was loaded, for fingerprints: no file is opened twice, so that it cannot be another one.
  const PartSource& transformer() const;
  const PartSource& vae() const;
  // All facts of their configurations, for the fingerprints.
  std::string TransformerIdentity() const;
  std::string VaeIdentity() const;

  // Throws as PictureRenderer::Render.
  Picture Paint(const PaintMember& member) const;
  // One that begins as noise.
  Picture Paint(const at::Tensor& positive, const at::Tensor& negative, const RenderParameters& parameters,
                const RenderHooks& hooks, const CancelToken& cancel) const;

  // As PictureRenderer::RenderTogether; each caption has its own length. Those who resume are painted up to the step of
  // the others, or these up to theirs, before all go on together. Throws Error(kInvalidArgument) when they cannot be
  // painted together.
  void PaintTogether(const std::vector<PaintMember>& members, const BatchEvents& events) const;

 private:
  struct Models;
  class Work;
  void AwaitRoom(const std::vector<PaintMember>& members, uint64_t need) const;

  const std::unique_ptr<const Models> models_;
};

}  // namespace diptych
