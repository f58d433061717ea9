#include "common/weights/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/error/error.h"
#include "common/weights/mapped_file.h"
#include "common/weights/strict_json.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFileSuffix = ".safetensors";
constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

// Names in `folder` that end in `suffix`, sorted.
std::vector<std::string> FilesEndingIn(const std::string& folder, std::string_view suffix) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(suffix)) names.push_back(name);
  }
  if (error) throw Error(ErrorCode::kInvalidArgument, folder + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// The only one, or the one with a base name that the libraries use.
std::string Choose(const std::vector<std::string>& names, std::string_view suffix, const std::string& folder) {
  if (names.size() == 1) return names.front();
  for (const std::string_view base : {"model", "diffusion_pytorch_model"}) {
    const std::string usual = std::string(base) + std::string(suffix);
    if (std::find(names.begin(), names.end(), usual) != names.end()) return usual;
  }
  throw Error(ErrorCode::kInvalidArgument, folder + ": both " + names[0] + " and " + names[1] +
                                               " could be the model; name one of the files instead of the folder");
}

// A shard lies beside its index: an index that somebody else wrote must not name files elsewhere.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

}  // namespace

std::shared_ptr<const Checkpoint> Checkpoint::Open(const std::string& path) {
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->path_ = path;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    checkpoint->AddFile(path);
    return checkpoint;
  }
  const fs::path folder(path);
  if (const auto indexes = FilesEndingIn(path, kIndexSuffix); !indexes.empty()) {
    checkpoint->AddIndexed(path, folder / Choose(indexes, kIndexSuffix, path));
  } else if (const auto files = FilesEndingIn(path, kFileSuffix); !files.empty()) {
    checkpoint->AddFile(folder / Choose(files, kFileSuffix, path));
  } else {
    throw Error(ErrorCode::kNotFound, path + ": no *.safetensors and no *.safetensors.index.json in this folder");
  }
  return checkpoint;
}

const TensorEntry* Checkpoint::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.entry;
}

void Checkpoint::AddFile(const std::string& path) {
  const auto file = SafetensorsFile::Open(path);
  for (const auto& [name, entry] : file->tensors()) tensors_[name] = {&entry, file.get()};
  files_[path] = file;
}

void Checkpoint::AddIndexed(const std::string& folder, const std::string& index_path) {
  const MappedFile index_file(index_path);
  const std::string_view text(reinterpret_cast<const char*>(index_file.bytes().data()), index_file.bytes().size());
  const nlohmann::json index = ParseStrictJson(text, index_path, 16);
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object()) {
    throw Error(ErrorCode::kDataLoss,
                index_path + ": expected an object \"weight_map\" of tensor names and file names");
  }
  for (const auto& [name, value] : weight_map->items()) {
    const std::string shard = value.is_string() ? value.get<std::string>() : "";
    if (!IsPlainFileName(shard)) {
      throw Error(ErrorCode::kDataLoss, index_path + ": weight_map names " + value.dump(-1, ' ', true).substr(0, 200) +
                                            ", expected the name of a file beside it");
    }
    std::shared_ptr<const SafetensorsFile>& file = files_[fs::path(folder) / shard];
    if (!file) file = SafetensorsFile::Open(fs::path(folder) / shard);
    const TensorEntry* entry = file->Find(name);
    if (entry == nullptr) {
      throw Error(ErrorCode::kDataLoss, index_path + ": tensor " +
                                            nlohmann::json(name).dump(-1, ' ', true).substr(0, 200) +
                                            " is listed but missing from " + shard);
    }
    tensors_[name] = {entry, file.get()};
  }
}

}  // namespace diptych
