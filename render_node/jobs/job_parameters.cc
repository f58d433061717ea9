#include "render_node/jobs/job_parameters.h"

namespace diptych {

RenderParameters RenderParametersOf(const JobSpec& spec, const RendererFacts& facts) {
  RenderParameters parameters;
  parameters.width = spec.width;
  parameters.height = spec.height;
  parameters.steps = spec.steps;
  parameters.seed = spec.seed;
  parameters.shift = spec.shift.value_or(facts.default_shift);
  parameters.guidance_scale = spec.guidance_scale;
  parameters.cfg_normalization = spec.cfg_normalization;
  parameters.cfg_truncation = spec.cfg_truncation == 0 ? 1 : spec.cfg_truncation;  // both mean never
  return parameters;
}

}  // namespace diptych
