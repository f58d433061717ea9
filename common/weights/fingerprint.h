// What a model is, in 64 hexadecimal digits: two machines agree on it exactly when they hold the same weights and
// configuration.
#pragma once

#include <string>
#include <vector>

#include "common/weights/checkpoint.h"

namespace diptych {

// SHA-256 over name, dtype, shape and SHA-256 of the bytes of every tensor in name order, and over the configuration in
// canonical form without the keys that say who saved it (_name_or_path, transformers_version, ...). Independent of
// sharding and of the order in a file. Reads every byte: `threads` at a time, 0: one per processor. Throws
// Error(kDataLoss) for a configuration that is not a JSON object. `tensor_hashes`, if not null, receives the SHA-256 of
// the bytes of each tensor in the order of Checkpoint::tensors.
std::string CheckpointFingerprint(const Checkpoint& checkpoint, const std::string& config_json_text, int threads = 0,
                                  std::vector<std::string>* tensor_hashes = nullptr);

// SHA-256 over the contents of the files, in the order given; their names do not count. Throws what MappedFile throws.
std::string FilesFingerprint(const std::vector<std::string>& paths);

}  // namespace diptych
