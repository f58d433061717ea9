#include "render_node/sampler/flow_match.h"

#include <cmath>

#include "render_node/sampler/beta_quantile.h"

namespace diptych::sampler {
namespace {

constexpr double kRho = 7;  // of Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models
constexpr double kBetaShape = 0.6;  // both parameters of Beta Sampling is All You Need

// torch's fp32 linspace(1, 1/n, n): from both ends towards the middle, multiplied and added in one rounding.
float BasePoint(int i, int n) {
  if (n == 1) return 1.0f;
  const float end = static_cast<float>(1.0 / n), gap = (end - 1.0f) / static_cast<float>(n - 1);
  return i < n / 2 ? std::fma(gap, static_cast<float>(i), 1.0f) : std::fma(-gap, static_cast<float>(n - 1 - i), end);
}

// Stretched around 1 so that the last level is `terminal`; in fp32 as diffusers does it.
void Stretch(std::vector<float>& sigmas, double terminal) {
  if (sigmas.back() == 1.0f) return;
  const float scale = (1.0f - sigmas.back()) / static_cast<float>(1 - terminal);
  for (float& sigma : sigmas) sigma = 1.0f - (1.0f - sigma) / scale;
}

// Replaces all levels by others between the same ends, in fp64.
void Space(std::vector<float>& sigmas, const Schedule& schedule) {
  const double last = schedule.sigma_min.value_or(sigmas.back()), first = schedule.sigma_max.value_or(sigmas.front());
  const size_t n = sigmas.size();
  for (size_t i = 0; i < n; ++i) {
    const double ramp = n == 1 ? 0 : static_cast<double>(i) / static_cast<double>(n - 1);
    double sigma = 0;
    if (schedule.spacing == Spacing::kKarras) {
      const double from = std::pow(first, 1 / kRho), to = std::pow(last, 1 / kRho);
      sigma = std::pow(from + ramp * (to - from), kRho);
    } else if (schedule.spacing == Spacing::kExponential) {
      sigma = std::exp(std::log(first) + ramp * (std::log(last) - std::log(first)));
    } else {
      sigma = last + SymmetricBetaQuantile(1 - ramp, kBetaShape) * (first - last);
    }
    sigmas[i] = static_cast<float>(sigma);
  }
}

}  // namespace

std::vector<float> FlowMatchSigmas(int steps, double shift, const Schedule& schedule) {
  const float s = static_cast<float>(shift), s_less_one = static_cast<float>(shift - 1);
  std::vector<float> sigmas;
  for (int i = 0; i < steps; ++i) {
    const float base = BasePoint(i, steps);
    sigmas.push_back(s * base / (1.0f + s_less_one * base));
  }
  if (schedule.terminal > 0) Stretch(sigmas, schedule.terminal);
  if (schedule.spacing != Spacing::kEven) Space(sigmas, schedule);
  if (schedule.inverted) {
    for (float& sigma : sigmas) sigma = 1.0f - sigma;
  }
  sigmas.push_back(schedule.inverted ? 1.0f : 0.0f);
  return sigmas;
}

float ModelTime(float sigma) { return (1000.0f - sigma * 1000.0f) / 1000.0f; }

}  // namespace diptych::sampler
