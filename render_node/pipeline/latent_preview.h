// A cheap look at a latent: each latent pixel becomes one RGB pixel, by a map fitted to what the loaded VAE makes of
// its latents. No libtorch here.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "common/image/picture.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

// rgb = W f, where f holds 1 and, for each channel, x, |x| and tanh x: a curve a channel, for a VAE is not quite
// linear. W by least squares over pairs (latent pixel, mean RGB of the block of the decoded picture that it stands
// for). Thread-safe. A preview is no result: it depends on what this process has painted before.
class LatentPreview {
 public:
  explicit LatentPreview(int32_t channels);

  // A latent and what the VAE made of it; each side of `picture` is the same multiple of the latent's. Looks at some
  // 1024 latent pixels at most, and forgets slowly: the last 4096 or so count. Throws Error(kInvalidArgument) naming
  // both shapes if they do not belong together.
  void Learn(const LatentState& latent, const Picture& picture);

  // [height, width] of the latent; values beyond 0..255 are cut, what is not a number becomes 0. Grey before anything
  // was learned. Throws Error(kInvalidArgument) for another number of channels.
  Picture Show(const LatentState& latent) const;

 private:
  // Sums over pairs of f f^T (its lower half) and f rgb^T.
  struct Sums {
    explicit Sums(size_t features) : ff(features * features), fy(features * 3) {}
    std::vector<double> ff, fy;  // [features, features], [features, 3]
    double pairs = 0;
  };

  Sums SumsOf(const LatentState& latent, const Picture& picture) const;
  void CheckShape(const LatentState& latent) const;

  const int32_t channels_;
  const size_t features_;
  mutable std::mutex mutex_;
  Sums learned_;
  std::vector<double> map_;  // W transposed, [features, 3]
};

}  // namespace diptych
