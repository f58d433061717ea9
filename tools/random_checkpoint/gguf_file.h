// GGUF files of any size, one tensor in memory at a time.
#pragma once

#include <string>
#include <vector>

#include "common/weights/safetensors_writer.h"

namespace diptych::random_checkpoint {

// Writes the tensors in the order given, with `architecture` as general.architecture and nothing else about the model:
// its config.json lies beside it. Throws Error(kUnavailable) when the file cannot be written.
void WriteGguf(const std::string& path, const std::string& architecture, const std::vector<TensorSpec>& tensors,
               const FillTensor& fill);

}  // namespace diptych::random_checkpoint
