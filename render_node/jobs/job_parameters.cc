#include "render_node/jobs/job_parameters.h"

#include <sstream>

#include "common/conditioning/conditioning_hash.h"
#include "common/picture/picture_json.h"

namespace diptych {

RenderParameters RenderParametersOf(const JobSpec& spec, const RendererFacts& facts) {
  RenderParameters parameters;
  parameters.width = spec.width;
  parameters.height = spec.height;
  parameters.steps = spec.steps;
  parameters.seed = spec.seed;
  parameters.shift = spec.shift ? *spec.shift : DefaultShift(facts, spec.width, spec.height);
  parameters.guidance_scale = spec.guidance_scale;
  parameters.cfg_normalization = spec.cfg_normalization;
  parameters.cfg_truncation = spec.cfg_truncation == 0 ? 1 : spec.cfg_truncation;  // both mean never
  parameters.soft_mask = spec.soft_mask;
  parameters.strength = spec.strength.value_or(parameters.strength);
  return parameters;
}

FetchRequests FetchRequestsOf(const JobSpec& spec, const std::string& job_id, const RendererFacts& facts) {
  const auto request_of = [&](const std::optional<PromptParts>& prompt) {
    FetchRequest request;
    request.prompt = prompt.value_or(PromptParts{});
    request.layer = spec.layer;
    request.long_prompt_mode = spec.long_prompt_mode;
    request.row_limit = facts.row_limit;
    request.job_id = job_id;
    request.client = spec.client;
    return request;
  };
  FetchRequests requests{request_of(spec.prompt), std::nullopt};
  if (spec.guidance_scale > 0) requests.negative = request_of(spec.negative);
  return requests;
}

bool IsStored(const ConditioningSource& source, const JobSpec& spec, const RendererFacts& facts) {
  const FetchRequests requests = FetchRequestsOf(spec, "", facts);
  return source.Has(requests.positive) && (!requests.negative || source.Has(*requests.negative));
}

std::string CheckpointDeterminants(const PictureSpec& spec, const RenderParameters& parameters,
                                   const RendererFacts& facts, const JobInputs& inputs,
                                   const std::string& program_version) {
  std::ostringstream text;
  text << std::hexfloat << "version " << program_version << "\ntransformer " << facts.transformer_fingerprint
       << "\ndtype " << facts.dtype << "\ndevice " << facts.device << "\nthreads " << facts.threads << "\nwidth "
       << parameters.width << "\nheight " << parameters.height << "\nsteps " << parameters.steps << "\nseed "
       << parameters.seed << "\nshift " << parameters.shift << "\nguidance_scale " << parameters.guidance_scale
       << "\ncfg_normalization " << parameters.cfg_normalization << "\ncfg_truncation " << parameters.cfg_truncation
       << "\nschedule " << ToText(facts.schedule) << "\npositive " << ConditioningHash(inputs.positive) << "\nnegative "
       << (inputs.negative ? ConditioningHash(*inputs.negative) : "none") << "\n";
  if (!spec.source.empty()) {
    PictureSpec begins = spec;
    begins.prompt.reset();
    begins.negative.reset();
    nlohmann::ordered_json members;
    PutMembers(begins, members);
    text << "begins " << members.dump() << "\n";
  }
  return text.str();
}

}  // namespace diptych
