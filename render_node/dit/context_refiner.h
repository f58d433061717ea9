// From encoder rows to the caption tokens that the DiT reads. Depends on the prompt only, so it runs once per job.
// Source: diffusers transformer_z_image.py (cap_embedder, cap_pad_token, context_refiner).
#pragma once

#include <memory>

#include "common/nn/tap.h"
#include "render_node/dit/config.h"

namespace diptych {
class WeightView;
}

namespace diptych::dit {

// A component of its own: needs only the tensors cap_embedder.*, cap_pad_token and context_refiner.* of a checkpoint.
// Immutable after construction; may be called from several threads.
class ContextRefiner {
 public:
  ContextRefiner(const WeightView& w, const Config& config);
  ~ContextRefiner();

  // rows [L, cap_feat_dim], L from 1 to row_limit(), any float dtype -> [RoundUp(L), dim] in the compute dtype:
  // normalised, projected, padded with the learned pad token, refined. Taps: "cap_embedder", "context_refiner.K".
  // Throws Error(kFailedPrecondition) naming both widths, or the row count and the limit.
  at::Tensor Refine(const at::Tensor& rows, const Tap& tap = {}) const;

 private:
  struct Network;
  const Config config_;
  const std::unique_ptr<const Network> network_;
};

}  // namespace diptych::dit
