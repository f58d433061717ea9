// What a render pipeline is loaded from and computes in.
#pragma once

#include <string>

namespace diptych {

struct ZImageOptions {
  std::string transformer_path;  // folder, or a .safetensors file beside its config.json
  std::string vae_path;          // likewise
  std::string scheduler_path;    // folder; its scheduler_config.json gives the default shift
  std::string device = "auto";   // of the DiT: auto, cpu, cuda
  std::string vae_device = "auto";
  std::string torch_dtype = "auto";  // of the DiT: auto (bfloat16 on CUDA, float32 on a CPU), bfloat16, float32
  int threads = 0;                   // CPU threads; 0: physical cores
  std::string tiled_vae = "auto";    // on: above one tile; off: never; auto: when a side exceeds 1024 pixels
  int tile_size = 512;               // pixels
  int tile_overlap = 64;             // pixels
};

}  // namespace diptych
