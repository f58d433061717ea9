// The loop from noise to a clean latent.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "common/concurrency/cancel_token.h"
#include "render_node/sampler/guidance.h"

namespace diptych::sampler {

// fp32 standard normal noise [channels, h, w] on the CPU, the stream of torch.randn with a CPU generator of this seed.
at::Tensor InitialNoise(uint64_t seed, int64_t channels, int64_t h, int64_t w);

// The network, bound to one picture: latent [C, h, w] fp32 and t = 1 - sigma -> raw output [C, h, w] fp32.
using VelocityFunction = std::function<at::Tensor(const at::Tensor& latent, double t)>;

// After step `step` of n (1-based).
struct FinishedStep {
  int step = 0;
  double sigma = 0;          // where the latent is now
  const at::Tensor& latent;  // [C, h, w] fp32
  const at::Tensor& output;  // of the network, guided: latent + sigma * output is its present guess of the clean one
};
using StepObserver = std::function<void(const FinishedStep&)>;

// Euler from sigmas[first] to sigmas.back() in fp32: x += (sigma_next - sigma) * -output. `latent` is the state after
// `first` steps, 0 <= first < sigmas.size(); a step depends on nothing else, so going on from a copy changes no bit.
// `negative` is called only while guidance is active. Throws Error(kCancelled) before a step.
at::Tensor Denoise(at::Tensor latent, const std::vector<float>& sigmas, int first, const VelocityFunction& positive,
                   const VelocityFunction& negative, const Guidance& guidance, const CancelToken& cancel,
                   const StepObserver& observe);

}  // namespace diptych::sampler
