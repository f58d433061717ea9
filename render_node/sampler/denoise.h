// The loop from noise to a clean latent, for one picture or for several in lock-step.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <vector>

#include "common/concurrency/cancel_token.h"
#include "render_node/sampler/guidance.h"

namespace diptych::sampler {

// fp32 standard normal noise [channels, h, w] on the CPU, the stream of torch.randn with a CPU generator of this seed.
at::Tensor InitialNoise(uint64_t seed, int64_t channels, int64_t h, int64_t w);

// The same from a generator that other draws may come from, too, and in the dtype asked for: bfloat16 is another
// stream, not a rounding of the fp32 one. Draws [channels, h, w] on the CPU.
at::Tensor DrawNoise(at::Generator& generator, int64_t channels, int64_t h, int64_t w, at::ScalarType dtype);

// A clean latent at a level of noise: sigma noise + (1 - sigma) clean, in their dtype, sigma rounded to it.
at::Tensor Noised(const at::Tensor& clean, const at::Tensor& noise, float sigma);

// What a picture keeps of another one: after each step its latent x at the new level sigma becomes
// (1 - repaint) Noised(clean, noise, sigma) + repaint x, and clean in place of the noised after the last.
// Source: diffusers pipeline_z_image_inpaint.py, __call__.
struct Kept {
  at::Tensor clean;    // [C, h, w], the other picture's latent
  at::Tensor noise;    // [C, h, w], the same in each step, of the same dtype
  at::Tensor repaint;  // [1, h, w] fp32: 0 keeps, 1 repaints
};

// After evaluation `step` of n (1-based).
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
  at::Tensor latent;  // [C, h, w] fp32 after `step` steps; Denoise moves both on
  int step = 0;       // finished steps, of those that it takes
  int first = 0;      // steps of the schedule that it leaves out, from the beginning
  std::optional<Kept> kept = {};
  Guidance guidance = {};     // its own, but for those who share a step each network evaluation costs all of them
  StepObserver observe = {};  // what it throws ends this picture alone
  CancelToken cancel = {};

  int level() const { return first + step; }  // of the schedule, where the latent is
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

// Euler from each member's level to sigmas.back() in fp32: x += (sigma_next - sigma) * -output, then what is kept.
// Those who are at the same level take the next step together, those who are behind go first; a step depends on nothing
// but the latent, what is kept and the sigmas, so going on from a copy changes no bit. `negative` is called only for
// those whose guidance is active. Cancellation is looked at before each step.
void Denoise(std::vector<Member>& members, const std::vector<float>& sigmas, const VelocityFunction& positive,
             const VelocityFunction& negative, const DenoiseEvents& events);

}  // namespace diptych::sampler
