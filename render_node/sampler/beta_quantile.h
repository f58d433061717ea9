// The quantile of the beta distribution with equal parameters.
#pragma once

namespace diptych::sampler {

// The x of 0..1 below which a part p of the distribution Beta(shape, shape) lies. p from 0 to 1, shape above 0. Exact
// to about 1e-14.
double SymmetricBetaQuantile(double p, double shape);

}  // namespace diptych::sampler
