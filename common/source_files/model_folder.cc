#include "common/source_files/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include "common/error/error.h"
#include "common/json/bounded_json.h"
#include "common/source_files/file_kind.h"
#include "common/source_files/read_file.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWanted = "the folder that holds tokenizer, text_encoder, transformer and vae";
constexpr std::string_view kSingleFiles =
    "single files, as ComfyUI uses, are given as --transformer-path, --vae-path and --text-encoder-path, beside the "
    "folder that holds the tokenizer";

bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Of a small file that helps to say what is wrong; empty when it cannot be read.
std::string TextOf(const fs::path& path) {
  try {
    return ReadWholeFile(path.string(), static_cast<int64_t>(JsonBounds{}.bytes));
  } catch (const Error&) {
    return "";
  }
}

bool IsThere(const fs::path& path) {  // also a link that points nowhere
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

std::vector<fs::path> EntriesOf(const fs::path& folder) {  // sorted
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    entries.push_back(entry->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool HasParts(const fs::path& folder) {
  return IsFolder(folder / "transformer") || IsFolder(folder / "text_encoder") || IsFolder(folder / "tokenizer");
}

bool EndsInOneOf(const std::string& name, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

bool IsCacheOfAModel(const fs::path& folder) {
  return folder.filename().string().starts_with("models--") && IsFolder(folder / "snapshots");
}

// models--OWNER--NAME -> OWNER/NAME
std::string ModelOf(const fs::path& cache) {
  std::string name = cache.filename().string().substr(std::string_view("models--").size());
  if (const size_t dashes = name.find("--"); dashes != name.npos) name.replace(dashes, 2, "/");
  return name;
}

// The snapshot that refs/main names, else the one that was changed last.
std::optional<fs::path> SnapshotOf(const fs::path& cache) {
  std::istringstream ref(TextOf(cache / "refs" / "main"));
  std::string revision;
  if (ref >> revision && IsFolder(cache / "snapshots" / revision)) return cache / "snapshots" / revision;
  std::optional<fs::path> newest;
  std::error_code ignored;
  for (const fs::path& snapshot : EntriesOf(cache / "snapshots")) {
    if (!IsFolder(snapshot)) continue;
    if (!newest || fs::last_write_time(snapshot, ignored) > fs::last_write_time(*newest, ignored)) newest = snapshot;
  }
  return newest;
}

std::string CacheProblem(const fs::path& given, const fs::path& cache) {
  const std::string what =
      given.string() + ": a folder of the Hugging Face cache for " + ModelOf(cache) + ", not the model itself; ";
  const std::optional<fs::path> snapshot = SnapshotOf(cache);
  if (!snapshot) return what + "its folder snapshots is empty: its download has not ended";
  return what + "give its snapshot: " + snapshot->string();
}

// ~/.cache/huggingface, or hub in it.
std::string CacheRootProblem(const fs::path& given) {
  for (const fs::path& root : {given, given / "hub"}) {
    std::vector<fs::path> models;
    for (const fs::path& entry : EntriesOf(root)) {
      if (IsCacheOfAModel(entry) && SnapshotOf(entry)) models.push_back(entry);
    }
    if (models.empty()) continue;
    const auto is_ours = [](const fs::path& model) { return HasParts(*SnapshotOf(model)); };
    const auto ours = std::find_if(models.begin(), models.end(), is_ours);
    const fs::path& shown = ours == models.end() ? models.front() : *ours;
    return given.string() +
           ": the cache of the Hugging Face library, not a model; give a snapshot in it, such as that of " +
           ModelOf(shown) + ": " + SnapshotOf(shown)->string();
  }
  return "";
}

// "OWNER/NAME" of a model on Hugging Face, which diffusers takes in place of a folder; empty: it cannot be one.
std::string RepositoryIn(std::string given) {
  constexpr std::string_view kHost = "huggingface.co/";
  if (const size_t at = given.find(kHost); at != given.npos) given.erase(0, at + kHost.size());
  while (given.ends_with('/')) given.pop_back();
  const auto is_part_of_name = [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '/';
  };
  const size_t slash = given.find('/');
  const bool two_names = slash != given.npos && slash > 0 && given.find('/', slash + 1) == given.npos;
  const bool is_path = given.starts_with('.') || IsThere(given.substr(0, slash));  // of a folder that is here
  if (!two_names || is_path || !std::all_of(given.begin(), given.end(), is_part_of_name)) return "";
  return given;
}

std::string AbsentProblem(const std::string& given) {
  const std::string problem = "there is no folder " + given, repository = RepositoryIn(given);
  if (repository.empty()) return problem;
  const std::string name = repository.substr(repository.find('/') + 1);
  return problem + "; a model of Hugging Face is downloaded first: huggingface-cli download " + repository +
         " --local-dir " + name + ", and then given as --model-path " + name;
}

std::string FileProblem(const std::string& given) {
  if (const std::string kind = FileKind(given); !kind.empty()) return given + ": this is " + kind;
  if (EndsInOneOf(given, {".safetensors", ".gguf"})) return given + ": " + std::string(kSingleFiles);
  return given + ": a file, expected " + std::string(kWanted);
}

}  // namespace

std::string ModelFolderProblem(const std::string& given) {
  fs::path folder(given);
  if (!folder.has_filename()) folder = folder.parent_path();  // a slash at the end
  if (!IsThere(folder)) return AbsentProblem(given);
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return OpenProblem(given, ENOENT);
  if (!IsFolder(folder)) return FileProblem(given);
  if (IsFolder(folder / "diffusion_models") || IsFolder(folder / "text_encoders")) {
    return given + ": a folder of models for ComfyUI; " + std::string(kSingleFiles);
  }
  if (HasParts(folder)) return "";
  if (IsCacheOfAModel(folder)) return CacheProblem(folder, folder);
  if (IsCacheOfAModel(folder.parent_path())) return CacheProblem(folder, folder.parent_path());
  if (const std::string problem = CacheRootProblem(folder); !problem.empty()) return problem;
  const std::vector<fs::path> entries = EntriesOf(folder);
  if (entries.empty()) return given + ": an empty folder, expected " + std::string(kWanted);
  if (HasParts(folder.parent_path())) {
    return given + ": one part of a checkpoint; give the folder above it: " + folder.parent_path().string();
  }
  for (const fs::path& entry : entries) {
    if (HasParts(entry)) return given + ": the checkpoint is in a folder of its own; give " + entry.string();
  }
  for (const fs::path& entry : entries) {
    const std::string name = entry.filename().string();
    if (EndsInOneOf(name, {".safetensors", ".gguf", ".ckpt", ".pt", ".pth", ".bin"})) {
      const std::string kind = FileKind(entry.string());
      return given + ": holds " + name + (kind.empty() ? "; " + std::string(kSingleFiles) : ", " + kind);
    }
  }
  for (const fs::path& entry : entries) {
    if (EndsInOneOf(entry.filename().string(), {".zip", ".7z", ".tar", ".tar.gz", ".tgz", ".rar"})) {
      return given + ": holds " + entry.filename().string() + ", an archive: unpack it";
    }
  }
  if (IsFolder(folder / ".cache" / "huggingface")) {
    return given + ": none of the parts are here yet; its download has not ended";
  }
  return given + ": none of tokenizer, text_encoder, transformer and vae is here; give " + std::string(kWanted);
}

std::string PartProblem(const std::string& part) {
  fs::path path(part);
  if (!path.has_filename()) path = path.parent_path();
  std::error_code ignored;
  if (!IsThere(path)) {
    const std::string absent = part + ": there is no such file or folder of a checkpoint";
    const std::string problem = path.has_parent_path() ? ModelFolderProblem(path.parent_path().string()) : "";
    if (problem.empty()) return absent;
    return IsFolder(path.parent_path()) ? absent + " (" + problem + ")" : problem;
  }
  if (!fs::exists(path, ignored)) return OpenProblem(part, ENOENT);
  if (!IsFolder(path)) {
    const std::string kind = IsGguf(part) ? "" : FileKind(part);
    return kind.empty() ? "" : part + ": this is " + kind;
  }
  if (IsThere(path / "config.json")) return "";
  if (HasParts(path)) {
    return part +
           ": a whole checkpoint, expected the folder of one part; give it as --model-path, or one of its folders";
  }
  if (const std::string problem = CacheRootProblem(path); !problem.empty()) return problem;
  for (const fs::path& folder : {path, path.parent_path()}) {
    if (IsCacheOfAModel(folder)) return CacheProblem(path, folder);
  }
  for (const fs::path& entry : EntriesOf(path)) {
    if (!entry.filename().string().ends_with(".gguf")) continue;
    return part + ": no config.json here; a GGUF file is given by itself, such as " + entry.string();
  }
  return (path / "config.json").string() + ": not there; it belongs to the model and says how its weights are used" +
         UnfinishedDownloadOf((path / "config.json").string());
}

std::string ModelFolderOf(const std::string& part) {
  std::error_code ignored;
  fs::path path = fs::path(part).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // a slash at the end
  if (!path.has_parent_path() || path.filename() == "..") path = fs::absolute(path, ignored).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (fs::is_regular_file(path, ignored)) path = path.parent_path();
  if (!path.has_parent_path()) path = fs::absolute(path, ignored);
  return path.parent_path().string();
}

std::string FamilyNote(const std::string& part) {
  const fs::path index = fs::path(ModelFolderOf(part)) / "model_index.json";
  const nlohmann::json model = JsonOrDiscarded(TextOf(index));
  if (!model.is_object() || !model.contains("_class_name") || !model["_class_name"].is_string()) return "";
  const std::string family = model["_class_name"];
  if (family.starts_with("ZImage")) return "";
  return "; " + index.string() + " says " + JsonExcerpt(family) +
         ": another family of models; this program paints with Z-Image (ZImagePipeline)";
}

}  // namespace diptych
