// From what a client asked to what encoder, renderer and checkpoints take.
#pragma once

#include <optional>
#include <string>

#include "render_node/conditioning/conditioning_source.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/job_inputs.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

// Unset values become the loaded checkpoint's. Not validated: CheckRenderParameters does that.
RenderParameters RenderParametersOf(const JobSpec& spec, const RendererFacts& facts);

struct FetchRequests {
  FetchRequest positive;
  std::optional<FetchRequest> negative;  // set when guidance is on
};
// What a job without uploaded conditioning is painted from.
FetchRequests FetchRequestsOf(const JobSpec& spec, const std::string& job_id, const RendererFacts& facts);

// Whether such a job needs no encoder.
bool IsStored(const ConditioningSource& source, const JobSpec& spec, const RendererFacts& facts);

// Everything that the latents of a picture depend on, as text: with other determinants a checkpoint is of no use. The
// spec says what the picture begins as.
std::string CheckpointDeterminants(const PictureSpec& spec, const RenderParameters& parameters,
                                   const RendererFacts& facts, const JobInputs& inputs,
                                   const std::string& program_version);

}  // namespace diptych
