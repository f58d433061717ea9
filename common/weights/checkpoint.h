// All tensors of one model, whether they lie in one safetensors file or in shards with an index.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/weights/safetensors.h"

namespace diptych {

// Immutable but for its mark; any thread may read. Entries point into mapped files that live as long as the checkpoint.
class Checkpoint {
 public:
  struct Tensor {
    const TensorEntry* entry;
    const SafetensorsFile* file;
  };

  // `path`: a safetensors file, or a folder with one, or with shards and their index. In a folder the first of these is
  // taken, as transformers and diffusers take them:
  //   model.safetensors, model.safetensors.index.json,
  //   diffusion_pytorch_model.safetensors.index.json (unless shards are missing and the single file is there),
  //   diffusion_pytorch_model.safetensors, the only other index, the only other file that is no shard.
  // Of an index all tensors of all its shards are taken. One that is listed and not there is missed by who needs it
  // (Absent says why), as long as not all shards are missing. What is passed over is a warning. Throws Error:
  // kNotFound, kInvalidArgument, kDataLoss.
  static std::shared_ptr<const Checkpoint> Open(const std::string& path);

  const TensorEntry* Find(std::string_view name) const;  // nullptr: no such tensor
  std::string Absent(std::string_view name) const;  // of one that is not there, why, if that is known: ", SHARD is ..."
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }  // by name
  const std::string& path() const { return path_; }                                       // as given to Open
  const std::map<std::string, std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }  // by path
  const std::vector<std::string>& warnings() const { return warnings_; }  // for the log; one line each

  // Somebody computes with tensors where they lie in the mapped files: what is written into these changes the results.
  void MarkUsedInPlace() const { used_in_place_ = true; }
  bool IsUsedInPlace() const { return used_in_place_; }

 private:
  Checkpoint() = default;
  void AddFile(const std::string& path);
  void AddIndexed(const std::string& folder, const std::string& index_name);
  void OpenFolder(const std::string& folder);

  std::string path_;
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> files_;  // by path
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> absent_;  // name of a tensor that is listed only -> why
  std::vector<std::string> warnings_;
  mutable std::atomic<bool> used_in_place_ = false;
};

}  // namespace diptych
