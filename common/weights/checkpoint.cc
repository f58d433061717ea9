#include "common/weights/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <regex>
#include <vector>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/source_files/file_kind.h"
#include "common/source_files/read_file.h"
#include "common/weights/gguf.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// The largest that are published name some 100 000 tensors in 10 MB.
constexpr JsonBounds kIndex{.bytes = size_t{16} << 20, .depth = 16, .values = 500'000};

constexpr std::string_view kFileSuffix = ".safetensors", kGgufSuffix = ".gguf";
constexpr std::string_view kModel = "model";                             // what transformers calls a checkpoint
constexpr std::string_view kDiffusionModel = "diffusion_pytorch_model";  // what diffusers calls one

// Names in `folder`, sorted.
std::vector<std::string> NamesIn(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) throw Error(ErrorCode::kInvalidArgument, folder + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

bool IsIn(const std::vector<std::string>& names, const std::string& name) {
  return std::binary_search(names.begin(), names.end(), name);
}

std::string FileOf(std::string_view base) { return std::string(base) + std::string(kFileSuffix); }
std::string IndexOf(std::string_view base) { return FileOf(base) + ".index.json"; }

// "model-00001-of-00003.safetensors", "model.fp16-00001-of-00003.safetensors": the base, "model" or "model.fp16".
std::optional<std::string> BaseOfShard(const std::string& name) {
  static const std::regex kShard(R"((.+)-\d{5}-of-\d{5}(\.[A-Za-z0-9_]+)?\.safetensors)");
  std::smatch parts;
  if (!std::regex_match(name, parts, kShard)) return std::nullopt;
  return parts[1].str();
}

// An index of any variant: model.safetensors.index.json, model.safetensors.index.fp16.json,
// model.safetensors.fp16.index.json.
bool IsIndex(const std::string& name) {
  const size_t file = name.find(".safetensors.");
  return file != name.npos && name.ends_with(".json") && name.find(".index.", file) != name.npos;
}

std::string List(const std::vector<std::string>& names) {
  constexpr size_t kMost = 4;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMost ? text + ", ..." : text;
}

// A folder without anything that could be read.
[[noreturn]] void NothingIn(const std::string& folder, const std::vector<std::string>& names) {
  std::vector<std::string> shards, unfinished, others;
  std::string base;
  for (const std::string& name : names) {
    const std::string whole = fs::path(name).stem().string();
    if (const auto shard_base = BaseOfShard(name)) {
      shards.push_back(name);
      base = *shard_base;
    } else if (whole.find(kFileSuffix) != whole.npos || name.ends_with(".incomplete")) {
      unfinished.push_back(name);
    } else if (name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth") ||
               name.ends_with(".ckpt")) {
      others.push_back(name);
    }
  }
  if (!shards.empty()) {
    throw Error(ErrorCode::kNotFound, folder + ": the shards " + List(shards) + " lie here without their index; put " +
                                          IndexOf(base) + " of the same model beside them");
  }
  if (!unfinished.empty()) {
    throw Error(ErrorCode::kNotFound,
                folder + ": no *.safetensors here, but " + List(unfinished) + ": a download that has not ended");
  }
  if (!others.empty()) {
    const std::string kind = FileKind((fs::path(folder) / others[0]).string());
    throw Error(ErrorCode::kNotFound, folder + ": no *.safetensors and no *.gguf here; " + others[0] + " is " +
                                          (kind.empty() ? "of a kind that is not read" : kind));
  }
  throw Error(ErrorCode::kNotFound, folder + ": no *.safetensors, *.safetensors.index.json or *.gguf in this folder");
}

// A shard lies beside its index: an index that somebody else wrote must not name files elsewhere.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

// Shards that an index lists, and the tensors that it lists in each.
std::map<std::string, std::vector<std::string>> ShardsOf(const std::string& folder, const std::string& index_name) {
  const std::string index_path = (fs::path(folder) / index_name).string();
  const std::string text = ReadWholeFile(index_path, static_cast<int64_t>(kIndex.bytes));
  std::vector<std::string> repeated;
  nlohmann::json index;
  try {
    index = ParseStrictJson(text, index_path, kIndex, &repeated);
  } catch (const Error& error) {
    const std::string kind = FileKind(index_path);
    if (kind.empty()) throw;
    throw Error(error.code(), index_path + ": this is " + kind);
  }
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object()) {
    throw Error(ErrorCode::kDataLoss,
                index_path + ": expected an object \"weight_map\" of tensor names and file names");
  }
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [name, value] : weight_map->items()) {
    const std::string shard = value.is_string() ? value.get<std::string>() : "";
    if (!IsPlainFileName(shard)) {
      throw Error(ErrorCode::kDataLoss,
                  index_path + ": weight_map names " + JsonExcerpt(value) + ", expected the name of a file beside it");
    }
    shards[shard].push_back(name);
  }
  return shards;
}

}  // namespace

bool IsShardName(const std::string& name) { return BaseOfShard(name).has_value(); }

std::shared_ptr<const Checkpoint> Checkpoint::Open(const std::string& path) {
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->OpenAny(path);
  return checkpoint;
}

std::shared_ptr<const Checkpoint> Checkpoint::Open(const std::string& path, ModelPart part) {
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->OpenAny(path);
  checkpoint->Apply(part);
  return checkpoint;
}

void Checkpoint::OpenAny(const std::string& path) {
  path_ = path;
  if (std::error_code error; fs::is_directory(path, error)) {
    OpenFolder(path);
  } else {
    AddFile(path);
  }
  for (const auto& [name, file] : files_) {
    warnings_.insert(warnings_.end(), file->warnings().begin(), file->warnings().end());
  }
}

void Checkpoint::Apply(ModelPart part) {
  std::vector<RawTensor> raw;
  std::vector<Tensor> sources;
  for (const auto& [name, tensor] : tensors_) {
    raw.push_back({name, tensor.entry->shape, tensor.entry->dtype_name()});
    sources.push_back(tensor);
  }
  if (const auto count = gguf() == nullptr ? std::nullopt : gguf()->Integer("split.count"); count > 1) {
    throw Error(ErrorCode::kInvalidArgument,
                path_ + ": one of " + std::to_string(*count) +
                    " files of a split model; make one file of them: llama-gguf-split --merge FIRST_FILE MODEL.gguf");
  }
  const auto architecture = gguf() == nullptr ? std::nullopt : gguf()->Text("general.architecture");
  layout_ = Layout::Of(part, raw, path_, architecture.value_or(""));
  if (layout_->is_plain()) return;
  std::map<std::string, Tensor, std::less<>> tensors;
  for (const CanonicalTensor& canonical : layout_->tensors()) {
    const Tensor& source = sources[canonical.raw];
    TensorEntry entry = *source.entry;
    if (canonical.is_slice && entry.shape[0] > 0) {
      if (!ByteCount(entry.shape, entry.dtype)) {
        throw Error(ErrorCode::kInvalidArgument, path_ + ": tensor " + entry.name + ": its rows of " +
                                                     std::to_string(entry.shape.back()) + " are no whole blocks of " +
                                                     std::string(entry.dtype_name()) + ", so it cannot be split");
      }
      const size_t row_bytes = entry.byte_count / static_cast<size_t>(entry.shape[0]);
      entry.data += row_bytes * static_cast<size_t>(canonical.first_row);
      entry.byte_count = row_bytes * static_cast<size_t>(canonical.rows);
    }
    entry.name = canonical.name;
    entry.shape = canonical.shape;
    derived_.push_back(std::move(entry));
    tensors.emplace(canonical.name, Tensor{&derived_.back(), source.file});
  }
  tensors_ = std::move(tensors);
  if (const std::vector<std::string>& foreign = layout_->foreign(); !foreign.empty()) {
    const bool one = foreign.size() == 1;
    warnings_.push_back(path_ + ": beside the " + std::string(PartName(part)) + " it has " +
                        std::to_string(foreign.size()) + (one ? " tensor" : " tensors") + " of other models, which " +
                        (one ? "is" : "are") + " not loaded: " + List(foreign));
  }
}

void Checkpoint::OpenFolder(const std::string& folder) {
  const std::vector<std::string> names = NamesIn(folder);
  const auto path_of = [&](const std::string& name) { return (fs::path(folder) / name).string(); };
  const std::string file = FileOf(kModel), index = IndexOf(kModel);
  const std::string diffusion_file = FileOf(kDiffusionModel), diffusion_index = IndexOf(kDiffusionModel);
  if (IsIn(names, file)) {
    if (IsIn(names, index)) {
      warnings_.push_back(path_of(file) + ": taken alone, as transformers does; " + index +
                          " beside it is passed over: it may be left from a time before shards were merged");
    }
    return AddFile(path_of(file));
  }
  if (IsIn(names, index)) return AddIndexed(folder, index);
  if (IsIn(names, diffusion_index)) {
    if (!IsIn(names, diffusion_file)) return AddIndexed(folder, diffusion_index);
    const bool complete = [&] {
      for (const auto& [shard, tensors] : ShardsOf(folder, diffusion_index)) {
        if (!IsIn(names, shard)) return false;
      }
      return true;
    }();
    const std::string taken = complete ? diffusion_index : diffusion_file;
    warnings_.push_back(path_of(taken) + ": taken, and " + (complete ? diffusion_file : diffusion_index) +
                        " beside it passed over" + (complete ? ", as diffusers does" : ": its shards are not here"));
    return complete ? AddIndexed(folder, diffusion_index) : AddFile(path_of(diffusion_file));
  }
  if (IsIn(names, diffusion_file)) return AddFile(path_of(diffusion_file));

  std::vector<std::string> files, indexes;
  for (const std::string& name : names) {
    if (IsIndex(name)) indexes.push_back(name);
    const bool is_whole = (name.ends_with(kFileSuffix) && !BaseOfShard(name)) || name.ends_with(kGgufSuffix);
    if (is_whole) files.push_back(name);
  }
  if (files.size() + indexes.size() > 1) {
    files.insert(files.end(), indexes.begin(), indexes.end());
    throw Error(ErrorCode::kInvalidArgument, folder + ": each of " + List(files) +
                                                 " could be the model; give one of the files instead of the folder, or "
                                                 "call it " +
                                                 file);
  }
  if (!indexes.empty()) return AddIndexed(folder, indexes[0]);
  if (files.empty()) NothingIn(folder, names);
  AddFile(path_of(files[0]));
}

const TensorEntry* Checkpoint::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.entry;
}

const GgufFile* Checkpoint::gguf() const {
  return files_.size() == 1 ? dynamic_cast<const GgufFile*>(files_.begin()->second.get()) : nullptr;
}

void Checkpoint::AddFile(const std::string& path) {
  const auto file = OpenWeightsFile(path);
  for (const auto& [name, entry] : file->tensors()) tensors_[name] = {&entry, file.get()};
  files_[path] = file;
}

void Checkpoint::AddIndexed(const std::string& folder, const std::string& index_name) {
  const std::string index_path = (fs::path(folder) / index_name).string();
  size_t found = 0;
  std::string why_none;
  const std::map<std::string, std::vector<std::string>> shards = ShardsOf(folder, index_name);
  for (const auto& [shard, tensors] : shards) {
    const std::string path = (fs::path(folder) / shard).string();
    try {
      AddFile(path);
      ++found;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
      warnings_.push_back(std::string(error.what()) + UnfinishedDownloadOf(path) + "; " + index_name + " lists " +
                          std::to_string(tensors.size()) + " tensors in it");
      if (why_none.empty()) why_none = warnings_.back();
      for (const std::string& name : tensors)
        absent_[name] = ": its shard " + shard + " is not there" + UnfinishedDownloadOf(path);
      continue;
    }
  }
  for (const auto& [shard, tensors] : shards) {  // of a tensor that is in several the index says which one counts
    const auto file = files_.find((fs::path(folder) / shard).string());
    if (file == files_.end()) continue;
    for (const std::string& name : tensors) {
      if (const TensorEntry* entry = file->second->Find(name)) {
        tensors_[name] = {entry, file->second.get()};
      } else {
        absent_[name] = ": " + index_name + " lists it in " + shard + ", which has no such tensor";
      }
    }
  }
  for (const auto& [name, tensor] : tensors_) absent_.erase(name);  // in another shard after all
  if (found == 0) throw Error(ErrorCode::kNotFound, why_none.empty() ? index_path + ": lists no tensor" : why_none);
}

std::string Checkpoint::Absent(std::string_view name) const {
  const std::string raw = layout_ ? layout_->RawName(name) : std::string(name);
  const auto found = absent_.find(raw);
  return (raw == name ? "" : ", where it would be " + raw) + (found == absent_.end() ? "" : found->second);
}

}  // namespace diptych
