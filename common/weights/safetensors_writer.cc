#include "common/weights/safetensors_writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "common/error/error.h"
#include "common/files/unfinished_file.h"

namespace diptych {
namespace {

using nlohmann::ordered_json;

constexpr mode_t kByUmask = 0666, kOwnerAlone = 0600;

// The tensors in the order in which they are stored. Throws for a repeated name.
std::vector<size_t> StorageOrder(const std::vector<TensorSpec>& specs, const std::string& path) {
  std::vector<size_t> order(specs.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const size_t size_a = ByteSize(specs[a].dtype), size_b = ByteSize(specs[b].dtype);
    return size_a != size_b ? size_a > size_b : specs[a].name < specs[b].name;
  });
  std::vector<std::string_view> names;
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  std::sort(names.begin(), names.end());
  const auto repeated = std::adjacent_find(names.begin(), names.end());
  if (repeated != names.end()) {
    throw Error(ErrorCode::kInvalidArgument, path + ": tensor " + std::string(*repeated) + " is given twice");
  }
  return order;
}

// Length field and JSON, padded with spaces so that the data begins at a multiple of 8 bytes.
std::string Header(const std::vector<TensorSpec>& specs, const std::vector<size_t>& order,
                   const SafetensorsMetadata& metadata) {
  ordered_json header = ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t position = 0;
  for (const size_t i : order) {
    const uint64_t end = position + ByteCount(specs[i]);
    header[specs[i].name] = {
        {"dtype", DtypeName(specs[i].dtype)}, {"shape", specs[i].shape}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < length.size(); ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return length + text;
}

void WriteFilled(const std::string& path, const std::vector<TensorSpec>& specs, const FillTensor& fill,
                 const SafetensorsMetadata& metadata, mode_t mode = kByUmask) {
  const std::vector<size_t> order = StorageOrder(specs, path);
  const std::string header = Header(specs, order, metadata);
  UnfinishedFile file(path, mode);
  file.Write(header.data(), header.size());
  std::vector<uint8_t> bytes;
  for (const size_t i : order) {
    bytes.resize(ByteCount(specs[i]));
    fill(specs[i], bytes);
    file.Write(bytes.data(), bytes.size());
  }
  file.Rename(path);
}

// Consecutive tensors together until the next would exceed the limit; a larger tensor has a shard of its own.
std::vector<std::vector<TensorSpec>> SplitIntoShards(const std::vector<TensorSpec>& tensors, uint64_t max_shard_bytes) {
  std::vector<std::vector<TensorSpec>> shards;
  uint64_t filled = 0;
  for (const TensorSpec& tensor : tensors) {
    const uint64_t bytes = ByteCount(tensor);
    if (shards.empty() || filled + bytes > max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(tensor);
    filled += bytes;
  }
  return shards;
}

std::string ShardName(const std::string& base, size_t index, size_t count) {
  char suffix[48];
  std::snprintf(suffix, sizeof(suffix), "-%05zu-of-%05zu.safetensors", index + 1, count);
  return base + suffix;
}

}  // namespace

size_t ByteCount(const TensorSpec& spec) {
  const std::optional<uint64_t> bytes = ByteCount(spec.shape, spec.dtype);
  if (!bytes) {
    throw Error(ErrorCode::kInvalidArgument, "tensor " + spec.name + ": impossible shape " + ShapeText(spec.shape));
  }
  return *bytes;
}

void WriteSafetensors(const std::string& path, const std::vector<TensorToWrite>& tensors,
                      const SafetensorsMetadata& metadata) {
  std::vector<TensorSpec> specs;
  std::map<std::string, std::span<const uint8_t>> bytes_of;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.bytes.size() != ByteCount(tensor.spec)) {
      throw Error(ErrorCode::kInvalidArgument,
                  path + ": tensor " + tensor.spec.name + " of shape " + ShapeText(tensor.spec.shape) + " needs " +
                      std::to_string(ByteCount(tensor.spec)) + " bytes, given " + std::to_string(tensor.bytes.size()));
    }
    specs.push_back(tensor.spec);
    bytes_of[tensor.spec.name] = tensor.bytes;
  }
  const auto copy = [&](const TensorSpec& spec, std::span<uint8_t> out) {
    const std::span<const uint8_t> bytes = bytes_of.at(spec.name);
    std::copy(bytes.begin(), bytes.end(), out.begin());
  };
  WriteFilled(path, specs, copy, metadata, kOwnerAlone);
}

void WriteCheckpoint(const std::string& folder, const std::string& base, const std::vector<TensorSpec>& tensors,
                     const FillTensor& fill, uint64_t max_shard_bytes, const SafetensorsMetadata& metadata) {
  const std::filesystem::path root(folder);
  const auto shards = SplitIntoShards(tensors, max_shard_bytes);
  if (shards.size() <= 1) {
    WriteFilled(root / (base + ".safetensors"), tensors, fill, metadata);
    return;
  }
  uint64_t total_bytes = 0;
  ordered_json weight_map = ordered_json::object();
  std::map<std::string, std::string> shard_of;  // sorted, so that equal checkpoints have equal indexes
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = ShardName(base, i, shards.size());
    WriteFilled(root / name, shards[i], fill, metadata);
    for (const TensorSpec& tensor : shards[i]) {
      total_bytes += ByteCount(tensor);
      if (!shard_of.emplace(tensor.name, name).second) {
        throw Error(ErrorCode::kInvalidArgument, folder + ": tensor " + tensor.name + " is given twice");
      }
    }
  }
  for (const auto& [tensor, shard] : shard_of) weight_map[tensor] = shard;
  const ordered_json index = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", weight_map}};
  const std::string text = index.dump(2) + "\n";
  const std::filesystem::path index_path = root / (base + ".safetensors.index.json");
  UnfinishedFile file(index_path, kByUmask);
  file.Write(text);
  file.Rename(index_path);
}

}  // namespace diptych
