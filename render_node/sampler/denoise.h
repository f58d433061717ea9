// The loop from noise to a clean latent, for one picture or for several in lock-step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

#include "common/concurrency/cancel_token.h"
#include "render_node/sampler/guidance.h"

namespace diptych::sampler {

// fp32 standard normal noise [channels, h, w] on the CPU, the stream of torch.randn with a CPU generator of this seed.
at::Tensor InitialNoise(uint64_t seed, int64_t channels, int64_t h, int64_t w);

// After step `step` of n (1-based).
struct FinishedStep {
  int step = 0;
  double sigma = 0;          // where the latent is now
  const at::Tensor& latent;  // [C, h, w] fp32
  const at::Tensor& output;  // of the network, guided: latent + sigma * output is its present guess of the clean one
  double ms = 0;             // from the step's beginning to its end, the same for all who took it together
  size_t together = 1;       // how many these are
};
using StepObserver = std::function<void(const FinishedStep&)>;

// One of the pictures that are denoised together.
struct Member {
  at::Tensor latent;          // [C, h, w] fp32 after `step` steps; Denoise moves both on
  int step = 0;               // finished steps
  Guidance guidance = {};     // its own, but for those who share a step each network evaluation costs all of them
  StepObserver observe = {};  // what it throws ends this picture alone
  CancelToken cancel = {};
};

// The network, bound to the pictures: of those at `members` of the vector that Denoise was given, with these latents,
// each [C, h, w] fp32, at t = 1 - sigma -> the raw output of each, [C, h, w] fp32.
using VelocityFunction = std::function<std::vector<at::Tensor>(const std::vector<size_t>& members,
                                                               const std::vector<at::Tensor>& latents, double t)>;

// What Denoise has to say besides the steps; must not throw.
struct DenoiseEvents {
  // This picture goes no further, the others do: Error(kCancelled) before a step, what its observer threw, or what the
  // network threw for it alone.
  std::function<void(size_t member, std::exception_ptr why)> left;
  // The network failed for several at once. The step is tried again with at most `together` of them at a time, and so
  // are all that follow.
  std::function<void(size_t together, std::exception_ptr why)> parted = {};
};

// Euler from the noise to sigmas.back() in fp32: x += (sigma_next - sigma) * -output. Those who have finished equally
// many steps take the next one together, those who are behind go first; a step depends on nothing but the latent and
// the sigmas, so going on from a copy changes no bit. `negative` is called only for those whose guidance is active.
// Cancellation is looked at before each step.
void Denoise(std::vector<Member>& members, const std::vector<float>& sigmas, const VelocityFunction& positive,
             const VelocityFunction& negative, const DenoiseEvents& events);

}  // namespace diptych::sampler
