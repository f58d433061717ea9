// What a render pipeline is loaded from and computes in.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "common/memory/memory_facts.h"

namespace diptych {

struct ZImageOptions {
  std::string transformer_path;  // folder, or a .safetensors file
  std::string vae_path;          // likewise
  std::string scheduler_path;    // folder; its scheduler_config.json gives the noise schedule
  std::string model_path = {};   // folder; its model_index.json gives the defaults; empty: Z-Image-Turbo's
  std::string config_path =
      {};  // folder of a whole model, for a file without a config.json beside it; empty: there is none
  std::string device = "auto";  // of the DiT: auto, cpu, cuda
  std::string vae_device = "auto";
  std::string torch_dtype = "auto";  // of the DiT: auto (bfloat16 on CUDA, float32 on a CPU), bfloat16, float32
  int threads = 0;                   // CPU threads; 0: physical cores
  std::string tiled_vae = "auto";    // on: above one tile; off: never; auto: when a side exceeds 1024 pixels
  int tile_size = 512;               // pixels
  int tile_overlap = 64;             // pixels
  // auto leaves room for the text encoder of this path, a folder or file as above, where one is on this host.
  std::string encoder_path = {};
  bool encoder_here = false;
  bool ignore_memory = false;                         // load and paint whatever fits or not
  std::chrono::milliseconds memory_patience{20'000};  // how long a picture waits for other programs
  std::string fingerprint_cache = {};                 // folder; empty: fingerprints are not remembered
  std::function<MemoryFacts()> read_memory = [] { return ReadMemoryFacts(); };
};

}  // namespace diptych
