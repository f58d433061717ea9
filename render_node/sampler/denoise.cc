#include "render_node/sampler/denoise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "render_node/sampler/flow_match.h"

namespace diptych::sampler {

at::Tensor InitialNoise(uint64_t seed, int64_t channels, int64_t h, int64_t w) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::randn({1, channels, h, w}, generator, at::TensorOptions().dtype(at::kFloat)).squeeze(0);
}

at::Tensor Denoise(at::Tensor latent, const std::vector<float>& sigmas, int first, const VelocityFunction& positive,
                   const VelocityFunction& negative, const Guidance& guidance, const CancelToken& cancel,
                   const StepObserver& observe) {
  const at::InferenceMode no_gradients;
  for (size_t i = static_cast<size_t>(first); i + 1 < sigmas.size(); ++i) {
    cancel.ThrowIfCancelled();
    const double t = ModelTime(sigmas[i]);
    at::Tensor output = positive(latent, t);
    if (guidance.ActiveAt(t)) output = Guide(output, negative(latent, t), guidance);
    const float dt = sigmas[i + 1] - sigmas[i];
    latent = latent - output * dt;  // the network points from noise to data: d latent / d sigma = -output
    if (observe) {
      observe({.step = static_cast<int>(i) + 1, .sigma = sigmas[i + 1], .latent = latent, .output = output});
    }
  }
  return latent;
}

}  // namespace diptych::sampler
