#include "render_node/dit/context_refiner.h"

#include <string>

#include "common/error/error.h"
#include "render_node/dit/blocks.h"

namespace diptych::dit {

struct ContextRefiner::Network {
  Network(const WeightView& w, const Config& c)
      : cap_norm(w / "cap_embedder" / 0, c.cap_feat_dim, c.norm_eps),
        cap_linear(w / "cap_embedder" / 1, c.dim, c.cap_feat_dim, true),
        cap_pad_token((w / "cap_pad_token").Tensor({1, c.dim})) {
    for (int64_t i = 0; i < c.n_refiner_layers; ++i) context_refiner.emplace_back(w / "context_refiner" / i, c);
  }

  const nn::RmsNorm cap_norm;
  const nn::Linear cap_linear;
  const at::Tensor cap_pad_token;  // [1, D]
  std::vector<Block> context_refiner;
};

ContextRefiner::ContextRefiner(const WeightView& w, const Config& config)
    : config_(config), network_(std::make_unique<const Network>(w, config)) {}
ContextRefiner::~ContextRefiner() = default;

at::Tensor ContextRefiner::Refine(const at::Tensor& rows, const Tap& tap) const {
  if (rows.dim() != 2 || rows.size(1) != config_.cap_feat_dim) {
    throw Error(ErrorCode::kFailedPrecondition, "the conditioning has rows of " + std::to_string(rows.size(-1)) +
                                                    " values, this DiT takes " + std::to_string(config_.cap_feat_dim) +
                                                    " (cap_feat_dim)");
  }
  const int64_t count = rows.size(0), padded = RoundUp(count);
  if (count < 1 || count > config_.row_limit()) {
    throw Error(ErrorCode::kFailedPrecondition, "the conditioning has " + std::to_string(count) +
                                                    " rows, this DiT takes 1 to " +
                                                    std::to_string(config_.row_limit()));
  }
  const at::InferenceMode no_gradients;
  const Network& net = *network_;
  const Layout layout{RotaryFactors(CaptionPositions(padded), config_, net.cap_pad_token.device()), {padded}};
  at::Tensor caption = net.cap_linear(net.cap_norm(rows.to(net.cap_pad_token.options())));  // [L, D]
  caption = at::cat({caption, net.cap_pad_token.expand({padded - count, config_.dim})});    // [Lp, D]
  if (tap) tap("cap_embedder", caption);
  for (size_t i = 0; i < net.context_refiner.size(); ++i) {
    caption = net.context_refiner[i](caption, layout, nullptr);
    if (tap) tap("context_refiner." + std::to_string(i), caption);
  }
  return caption;
}

}  // namespace diptych::dit
