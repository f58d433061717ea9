#include "render_node/sampler/flow_match.h"

#include <cmath>

namespace diptych::sampler {
namespace {

// torch's fp32 linspace(1, 1/n, n): from both ends towards the middle, multiplied and added in one rounding.
float BasePoint(int i, int n) {
  if (n == 1) return 1.0f;
  const float end = static_cast<float>(1.0 / n), gap = (end - 1.0f) / static_cast<float>(n - 1);
  return i < n / 2 ? std::fma(gap, static_cast<float>(i), 1.0f) : std::fma(-gap, static_cast<float>(n - 1 - i), end);
}

}  // namespace

std::vector<float> FlowMatchSigmas(int steps, double shift) {
  const float s = static_cast<float>(shift), s_less_one = static_cast<float>(shift - 1);
  std::vector<float> sigmas;
  for (int i = 0; i < steps; ++i) {
    const float base = BasePoint(i, steps);
    sigmas.push_back(s * base / (1.0f + s_less_one * base));
  }
  sigmas.push_back(0.0f);
  return sigmas;
}

float ModelTime(float sigma) { return (1000.0f - sigma * 1000.0f) / 1000.0f; }

}  // namespace diptych::sampler
