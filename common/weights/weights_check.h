// Weights files read anew and compared with what is remembered of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/concurrency/cancel_token.h"
#include "common/weights/fingerprint_cache.h"

namespace diptych {

struct WeightsCheck {
  size_t tensors = 0;
  uint64_t bytes = 0;                  // that were read
  bool was_remembered = false;         // something was, to compare with
  std::string since;                   // what about the file has changed since then, in a few words; empty: nothing
  std::vector<std::string> different;  // tensors whose bytes are not those that are remembered, by name
  std::string not_kept;                // why it is not remembered now; empty: it is, or nobody wants it
};

// Reads all tensors of a *.safetensors or *.gguf file, whatever its name, and all bytes that are remembered of it,
// compares, and remembers what is there now. Throws Error naming the file: as SafetensorsFile and GgufFile,
// kUnavailable when it changes or cannot be read meanwhile, kCancelled.
WeightsCheck CheckWeights(const std::string& path, const FingerprintCache& cache, const CancelToken& cancel);

// The weights files of `path`: the file itself; of a folder those in it and in the folders in it, sorted. Throws
// Error(kNotFound) when there are none.
std::vector<std::string> WeightsFilesIn(const std::string& path);

}  // namespace diptych
