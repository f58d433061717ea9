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

// After step k of n (1-based); `latent` is the state at `sigma`.
using StepObserver = std::function<void(int step, double sigma, const at::Tensor& latent)>;

// Euler from sigmas[0] to sigmas.back() in fp32: x += (sigma_next - sigma) * -output. `negative` is called only while
// guidance is active. Throws Error(kCancelled) before a step.
at::Tensor Denoise(at::Tensor latent, const std::vector<float>& sigmas, const VelocityFunction& positive,
                   const VelocityFunction& negative, const Guidance& guidance, const CancelToken& cancel,
                   const StepObserver& observe);

}  // namespace diptych::sampler
