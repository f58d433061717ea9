// Writes safetensors files: deterministic bytes, put in place by rename so that a reader never sees half a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/weights/safetensors.h"

namespace diptych {

struct TensorSpec {
  std::string name;
  Dtype dtype;
  std::vector<int64_t> shape;
};

size_t ByteCount(const TensorSpec& spec);  // throws Error(kInvalidArgument) for an impossible shape

struct TensorToWrite {
  TensorSpec spec;
  std::span<const uint8_t> bytes;  // row-major, little-endian, ByteCount(spec) of them; not owned
};

using SafetensorsMetadata = std::map<std::string, std::string>;

// Tensors are stored by falling element size, then by name, as the reference writer does, so every tensor is aligned to
// its elements. Throws Error(kInvalidArgument) for a repeated name or a wrong byte count, kUnavailable when the file
// cannot be written. The file is its owner's alone: rows are as good as the prompt that they were made from.
void WriteSafetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                      const SafetensorsMetadata& metadata = {});

// Fills `bytes`, of ByteCount(spec), with the tensor's elements.
using FillTensor = std::function<void(const TensorSpec& spec, std::span<uint8_t> bytes)>;

// A checkpoint of any size, one tensor in memory at a time. Writes `folder`/`base`.safetensors, or, when the tensors
// are more than `max_shard_bytes`, `base`-0000K-of-0000M.safetensors (tensors in the order given) and
// `base`.safetensors.index.json.
void WriteCheckpoint(const std::string& folder, const std::string& base, const std::vector<TensorSpec>& tensors,
                     const FillTensor& fill, uint64_t max_shard_bytes, const SafetensorsMetadata& metadata);

}  // namespace diptych
