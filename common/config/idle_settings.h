// Settings that somebody made and that change nothing beside the others.
#pragma once

#include <string>
#include <vector>

#include "common/config/option.h"
#include "common/config/settings.h"

namespace diptych {

// One line each, of the keys of these programs (kEncoderd, kRenderd): "pytorch.tile_size has no effect:
// pytorch.tiled_vae is off". For the log of a start.
std::vector<std::string> IdleSettings(const Settings& settings, ProgramMask programs);

}  // namespace diptych
