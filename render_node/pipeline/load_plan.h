// In which number format the DiT is loaded, decided from the files' headers before any of it is taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/memory/memory_facts.h"
#include "common/weights/weight_need.h"
#include "render_node/pipeline/picture_memory.h"

namespace diptych {

struct LoadQuestion {
  const Checkpoint& transformer;
  const Checkpoint& vae;
  bool vae_encodes = true;  // else its encoder is none that is read
  std::string torch_dtype;  // auto, bfloat16, float32: the operator's word
  bool dit_on_gpu = false;
  bool vae_on_gpu = false;
  PictureMemoryFacts picture = {};  // but for `element`
  TilingRule tiling = {};
  int32_t max_side = 0;                           // px, that the DiT takes
  WeightNeed encoder = {};                        // of a text encoder on the same host; nothing: there is none
  std::optional<MemoryRoom> host = {}, gpu = {};  // nothing: unknown, and nothing is refused
};

struct LoadPlan {
  bool bfloat16 = false;
  WeightNeed weights;              // of DiT and VAE in this host's memory
  std::vector<std::string> notes;  // for the log: what is needed, what there is, what was chosen
  std::vector<std::string> warnings;
};

// auto is bfloat16 on a GPU, and on a CPU the widest format that fits. Throws Error(kResourceExhausted) with what is
// needed and what is available when the weights do not fit.
LoadPlan PlanLoad(const LoadQuestion& question);

}  // namespace diptych
