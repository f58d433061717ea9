// All tensors of one model, whether they lie in one safetensors file or in shards with an index.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/weights/safetensors.h"

namespace diptych {

// Immutable; any thread may read. Entries point into mapped files that live as long as the checkpoint.
class Checkpoint {
 public:
  struct Tensor {
    const TensorEntry* entry;
    const SafetensorsFile* file;
  };

  // `path`: a safetensors file, or a folder with `<base>.safetensors.index.json` or with one *.safetensors file. An
  // index decides which tensors there are and which file each comes from. Where a folder holds several candidates,
  // `model` and then `diffusion_pytorch_model` is taken. Throws Error: kNotFound, kInvalidArgument, kDataLoss (a listed
  // tensor missing from its shard).
  static std::shared_ptr<const Checkpoint> Open(const std::string& path);

  const TensorEntry* Find(std::string_view name) const;                                   // nullptr: no such tensor
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }  // by name
  const std::string& path() const { return path_; }                                       // as given to Open

 private:
  Checkpoint() = default;
  void AddFile(const std::string& path);
  void AddIndexed(const std::string& folder, const std::string& index_path);

  std::string path_;
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> files_;  // by path
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace diptych
