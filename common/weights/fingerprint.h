// What a model is, in 64 hexadecimal digits: two machines agree on it exactly when they hold the same weights and
// configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/weights/checkpoint.h"
#include "common/weights/fingerprint_cache.h"

namespace diptych {

// What a fingerprint cost.
struct FingerprintWork {
  uint64_t hashed = 0;      // bytes that were read
  uint64_t remembered = 0;  // bytes whose hash the cache had
  double seconds = 0;
  std::string not_kept = {};  // why the cache does not have the hashes now; empty: it has, or there is none

  // "fingerprint of PATH: 8.0 GB hashed in 15.2 s", or that it was remembered; for the log.
  std::string Line(const std::string& path) const;
};

// SHA-256 over name, dtype, shape and SHA-256 of the bytes of every tensor in name order, and over the facts of the
// configuration (Config::Identity), which say what was read from config.json, not how it was spelled there. Independent
// of sharding and of the order in a file. Reads every byte that `cache` (null: none) does not know the hash of, once:
// `threads` at a time, 0: one per processor; what the cache did not know it knows afterwards. `tensor_hashes`, if not
// null, receives the SHA-256 of the bytes of each tensor in the order of Checkpoint::tensors.
std::string CheckpointFingerprint(const Checkpoint& checkpoint, const std::string& facts, int threads = 0,
                                  std::vector<std::string>* tensor_hashes = nullptr,
                                  const FingerprintCache* cache = nullptr, FingerprintWork* work = nullptr);

}  // namespace diptych
