#include "common/weights/weights_check.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "common/error/error.h"
#include "common/weights/file_hash.h"
#include "common/weights/weights_file.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// Where its tensors lie.
std::map<FilePlace, std::string> NamesOf(const WeightsFile& file) {
  std::map<FilePlace, std::string> names;
  for (const auto& [name, tensor] : file.tensors()) {
    const auto offset = static_cast<uint64_t>(tensor.data - file.mapping()->bytes().data());
    names.emplace(FilePlace{offset, tensor.byte_count}, name);
  }
  return names;
}

// The tensor that these bytes are, or are of.
std::string NameAt(const std::map<FilePlace, std::string>& names, const FilePlace& place) {
  if (const auto same = names.find(place); same != names.end()) return same->second;
  auto after = names.upper_bound({place.offset, UINT64_MAX});
  if (after != names.begin()) {
    const auto& [before, name] = *--after;
    if (place.offset < before.offset + before.byte_count) return name;
  }
  return std::to_string(place.byte_count) + " bytes at " + std::to_string(place.offset);
}

// "" for what cannot be read.
PlaceHashes HashAll(const MappedFile& file, const std::set<FilePlace>& wanted, const CancelToken& cancel) {
  const std::vector<FilePlace> places(wanted.begin(), wanted.end());
  std::vector<std::string> hashes(places.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    std::vector<uint8_t> buffer(1 << 20);
    for (size_t i = next++; i < places.size() && !cancel.IsCancelled(); i = next++) {
      hashes[i] = HashNow(file, places[i].offset, places[i].byte_count, buffer);
    }
  };
  std::vector<std::future<void>> workers;
  for (unsigned i = 1; i < std::thread::hardware_concurrency() && i < places.size(); ++i) {
    workers.push_back(std::async(std::launch::async, work));
  }
  work();
  for (std::future<void>& worker : workers) worker.get();
  cancel.ThrowIfCancelled();
  PlaceHashes result;
  for (size_t i = 0; i < places.size(); ++i) result.emplace(places[i], std::move(hashes[i]));
  return result;
}

bool IsWeightsName(const fs::path& path) { return path.extension() == ".safetensors" || path.extension() == ".gguf"; }

}  // namespace

WeightsCheck CheckWeights(const std::string& path, const FingerprintCache& cache, const CancelToken& cancel) {
  const std::shared_ptr<const WeightsFile> weights = OpenWeightsFile(path);
  const MappedFile& file = *weights->mapping();
  const std::map<FilePlace, std::string> names = NamesOf(*weights);
  const bool settled = cache.IsSettled(file);
  const std::optional<FingerprintCache::Entry> entry = cache.Find(file);

  WeightsCheck check;
  check.tensors = names.size();
  check.was_remembered = entry.has_value();
  std::set<FilePlace> wanted;
  for (const auto& [place, name] : names) wanted.insert(place);
  std::set<std::string> different;
  if (entry) {
    check.since = DifferenceText(entry->facts, file.facts());
    for (const auto& [place, hash] : entry->hashes) {
      const auto size = static_cast<uint64_t>(file.facts().size);
      if (place.offset <= size && place.byte_count <= size - place.offset) {
        wanted.insert(place);
      } else {
        different.insert(NameAt(names, place));
      }
    }
  }
  const PlaceHashes hashes = HashAll(file, wanted, cancel);
  if (file.FactsNow() != file.facts()) {
    throw Error(ErrorCode::kUnavailable, path + ": was changed while it was read (" +
                                             DifferenceText(file.facts(), file.FactsNow()) +
                                             "); look again when nobody writes to it");
  }
  PlaceHashes kept;
  for (const auto& [place, hash] : hashes) {
    if (hash.empty())
      throw Error(ErrorCode::kUnavailable, path + ": " + NameAt(names, place) + " cannot be read");
    check.bytes += names.contains(place) ? place.byte_count : 0;
    const auto known = entry ? entry->hashes.find(place) : PlaceHashes::const_iterator();
    if (entry && known != entry->hashes.end() && known->second != hash) different.insert(NameAt(names, place));
    // What was remembered of a file with other tensors is of no more use.
    if (names.contains(place) || check.since.empty()) kept.emplace(place, hash);
  }
  check.different.assign(different.begin(), different.end());
  check.not_kept = settled ? cache.Keep(file, kept) : "it was changed just now";
  if (cache.folder().empty()) check.not_kept.clear();
  return check;
}

std::vector<std::string> WeightsFilesIn(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {path};
  std::vector<std::string> files;
  constexpr auto kOptions = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator entry(path, kOptions, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry.depth() >= 1) entry.disable_recursion_pending();
    std::error_code ignored;
    if (IsWeightsName(entry->path()) && !fs::is_directory(entry->path(), ignored))
      files.push_back(entry->path().string());
  }
  if (error) throw Error(ErrorCode::kInvalidArgument, path + ": " + error.message());
  if (files.empty()) throw Error(ErrorCode::kNotFound, path + ": no *.safetensors and no *.gguf in this folder");
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace diptych
