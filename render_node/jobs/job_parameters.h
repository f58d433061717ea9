// From what a client asked to what the renderer takes.
#pragma once

#include "render_node/jobs/job.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

// Unset values become the loaded checkpoint's. Not validated: CheckRenderParameters does that.
RenderParameters RenderParametersOf(const JobSpec& spec, const RendererFacts& facts);

}  // namespace diptych
