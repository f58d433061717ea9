// All tensors of one model, whether they lie in one safetensors or GGUF file or in shards with an index.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/weights/layout.h"
#include "common/weights/weights_file.h"

namespace diptych {

class GgufFile;

// "model-00001-of-00003.safetensors": one of several files of a model, which is opened by their folder.
bool IsShardName(const std::string& name);

// Immutable but for its mark; any thread may read. Entries point into mapped files that live as long as the checkpoint.
class Checkpoint {
 public:
  struct Tensor {
    const TensorEntry* entry;
    const WeightsFile* file;
  };

  // `path`: a safetensors or GGUF file, or a folder with one, or with shards and their index. In a
  // folder the first of these is taken, as transformers and diffusers take them:
  //   model.safetensors, model.safetensors.index.json,
  //   diffusion_pytorch_model.safetensors.index.json (unless shards are missing and the single file is there),
  //   diffusion_pytorch_model.safetensors, the only other index, the only other file that is no shard, *.gguf included.
  // Of an index all tensors of all its shards are taken. One that is listed and not there is missed by who needs it
  // (Absent says why), as long as not all shards are missing. What is passed over is a warning. Throws Error:
  // kNotFound, kInvalidArgument, kDataLoss.
  //
  // The tensors have the names that the models ask for, whatever the files call them (layout.h): entries are then of
  // our own, and lie in the same mapped bytes. Tensors of other models in the same file are left out, with one warning.
  static std::shared_ptr<const Checkpoint> Open(const std::string& path, ModelPart part);
  // As the files call them.
  static std::shared_ptr<const Checkpoint> Open(const std::string& path);

  const TensorEntry* Find(std::string_view name) const;  // nullptr: no such tensor
  // Of one that is not there what is known about it: ", where it would be RAW_NAME: its shard SHARD is not there".
  std::string Absent(std::string_view name) const;
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }  // by name
  std::string LayoutText() const { return layout_ ? layout_->Description() : ""; }        // empty: the canonical names
  // The files' names for tensors of other models, which are left out; sorted.
  std::vector<std::string> Foreign() const { return layout_ ? layout_->foreign() : std::vector<std::string>(); }
  const std::string& path() const { return path_; }                                                  // as given to Open
  const std::map<std::string, std::shared_ptr<const WeightsFile>>& files() const { return files_; }  // by path
  const GgufFile* gguf() const;  // the one file, whose metadata may say what it is; nullptr: it is no GGUF file
  const std::vector<std::string>& warnings() const { return warnings_; }  // for the log; one line each

  // Somebody computes with tensors where they lie in the mapped files: what is written into these changes the results.
  void MarkUsedInPlace() const { used_in_place_ = true; }
  bool IsUsedInPlace() const { return used_in_place_; }

 private:
  Checkpoint() = default;
  void AddFile(const std::string& path);
  void AddIndexed(const std::string& folder, const std::string& index_name);
  void OpenFolder(const std::string& folder);
  void OpenAny(const std::string& path);
  void Apply(ModelPart part);

  std::string path_;
  std::map<std::string, std::shared_ptr<const WeightsFile>> files_;  // by path
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::optional<Layout> layout_;
  std::deque<TensorEntry> derived_;                         // by `layout_`; never moved
  std::map<std::string, std::string, std::less<>> absent_;  // raw name of a tensor that is listed only -> why
  std::vector<std::string> warnings_;
  mutable std::atomic<bool> used_in_place_ = false;
};

}  // namespace diptych
