// Classifier-free guidance.  Source: diffusers pipeline_z_image.py, __call__.
#pragma once

#include <ATen/core/Tensor.h>

namespace diptych::sampler {

struct Guidance {
  double scale = 0;          // g in pos + g (pos - neg); 0: off
  double normalization = 0;  // nu: the result's norm is at most nu times that of pos; 0: off
  double truncation = 1;     // steps with t above it run without guidance; 0 and above 1: never

  bool ActiveAt(double t) const { return scale > 0 && !(truncation > 0 && truncation <= 1 && t > truncation); }
};

// positive, negative: raw network outputs of one picture, fp32, same shape.
at::Tensor Guide(const at::Tensor& positive, const at::Tensor& negative, const Guidance& guidance);

}  // namespace diptych::sampler
