// A toy checkpoint to be opened.
#pragma once

#include <string>

#include "render_node/pipeline/z_image_options.h"
#include "tests/parity/support/golden.h"

namespace diptych {

// Whole, or in tiles of 8 latent pixels, the smallest that there are.
inline ZImageOptions ToyOptions(const std::string& toy, bool tiled = false) {
  ZImageOptions options;
  options.transformer_path = parity::DataPath(toy + "/transformer");
  options.vae_path = parity::DataPath(toy + "/vae");
  options.scheduler_path = parity::DataPath(toy + "/scheduler");
  options.torch_dtype = "float32";
  options.device = options.vae_device = "cpu";
  if (tiled) {
    options.tiled_vae = "on";
    options.tile_size = 64;
    options.tile_overlap = 16;
  }
  return options;
}

}  // namespace diptych
