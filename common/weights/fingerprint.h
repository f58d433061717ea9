// What a model is, in 64 hexadecimal digits: two machines agree on it exactly when they hold the same weights and
// configuration.
#pragma once

#include <string>
#include <vector>

#include "common/weights/checkpoint.h"

namespace diptych {

// SHA-256 over name, dtype, shape and SHA-256 of the bytes of every tensor in name order, and over the facts of the
// configuration (Config::Identity), which say what was read from config.json, not how it was spelled there. Independent
// of sharding and of the order in a file. Reads every byte: `threads` at a time, 0: one per processor. `tensor_hashes`,
// if not null, receives the SHA-256 of the bytes of each tensor in the order of Checkpoint::tensors.
std::string CheckpointFingerprint(const Checkpoint& checkpoint, const std::string& facts, int threads = 0,
                                  std::vector<std::string>* tensor_hashes = nullptr);

}  // namespace diptych
