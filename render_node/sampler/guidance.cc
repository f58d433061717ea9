#include "render_node/sampler/guidance.h"

#include <ATen/ATen.h>

namespace diptych::sampler {

at::Tensor Guide(const at::Tensor& positive, const at::Tensor& negative, const Guidance& guidance) {
  at::Tensor guided = positive + guidance.scale * (positive - negative);
  if (guidance.normalization > 0) {
    const double most = guidance.normalization * positive.norm().item<double>(), found = guided.norm().item<double>();
    if (found > most) guided *= most / found;
  }
  return guided;
}

}  // namespace diptych::sampler
