// The pipeline of one checkpoint behind PictureRenderer.
#pragma once

#include <memory>

#include "render_node/pipeline/picture_renderer.h"
#include "render_node/pipeline/z_image_options.h"

namespace diptych {

// Reads the whole checkpoint once (its fingerprints cover every byte). Throws Error naming file and tensor or key.
std::unique_ptr<PictureRenderer> LoadZImageRenderer(const ZImageOptions& options);

}  // namespace diptych
