#include "render_node/sampler/beta_quantile.h"

#include <cmath>

namespace diptych::sampler {
namespace {

// The integral of t^(a-1) (1-t)^(a-1) from 0 to x, for x up to 1/2, where the power series of the second factor gains
// at least a bit with every term.
double PartialBeta(double x, double a) {
  double coefficient = 1, sum = 1 / a, power = 1;
  for (int n = 1; n < 200; ++n) {
    coefficient *= (n - a) / n;
    power *= x;
    const double term = coefficient * power / (a + n);
    sum += term;
    if (std::abs(term) < 1e-18 * sum) break;
  }
  return std::pow(x, a) * sum;
}

}  // namespace

double SymmetricBetaQuantile(double p, double shape) {
  if (p > 0.5) return 1 - SymmetricBetaQuantile(1 - p, shape);
  const double wanted = p * 2 * PartialBeta(0.5, shape);  // half of the whole integral lies below 1/2
  double low = 0, high = 0.5;
  for (;;) {  // until no number lies between the two
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (PartialBeta(middle, shape) < wanted ? low : high) = middle;
  }
}

}  // namespace diptych::sampler
