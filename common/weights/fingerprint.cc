#include "common/weights/fingerprint.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "common/digest/sha256.h"
#include "common/memory/memory_facts.h"

namespace diptych {
namespace {

// Calls `work` for 0 to n-1.
void InParallel(size_t n, int threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto work_on = [&] {
    for (size_t i = next++; i < n; i = next++) work(i);
  };
  const int wanted = threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
  std::vector<std::future<void>> workers;
  for (int i = 1; i < wanted && i < static_cast<int>(n); ++i) {
    workers.push_back(std::async(std::launch::async, work_on));
  }
  work_on();
  for (std::future<void>& worker : workers) worker.get();
}

// Where in its mapped file the bytes of a tensor lie; nullopt: they are not the file's.
std::optional<FilePlace> PlaceOf(const Checkpoint::Tensor& tensor) {
  const MappedFile* const file = tensor.file->mapping();
  if (file == nullptr) return std::nullopt;
  const auto begin = reinterpret_cast<uintptr_t>(file->bytes().data());
  const auto data = reinterpret_cast<uintptr_t>(tensor.entry->data);
  if (data < begin || data - begin > file->bytes().size()) return std::nullopt;
  const FilePlace place{data - begin, tensor.entry->byte_count};
  if (place.byte_count > file->bytes().size() - place.offset) return std::nullopt;
  return place;
}

// A mapped file, and what is and becomes known of it.
struct KnownFile {
  PlaceHashes known, fresh;
  bool settled = false;
};

std::vector<std::string> HashTensors(const Checkpoint& checkpoint, int threads, const FingerprintCache* cache,
                                     FingerprintWork& work) {
  std::map<const MappedFile*, KnownFile> files;
  if (cache != nullptr) {
    for (const auto& [path, file] : checkpoint.files()) {
      if (file->mapping() == nullptr) continue;
      files[file->mapping()] = {cache->Known(*file->mapping()), {}, cache->IsSettled(*file->mapping())};
    }
  }
  struct Unknown {
    size_t index;
    const TensorEntry* entry;
    KnownFile* file;  // null: the hash is for this time alone
    FilePlace place;
  };
  std::vector<Unknown> unknown;
  std::vector<std::string> hashes(checkpoint.tensors().size());
  size_t index = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    const size_t i = index++;
    const auto file = files.find(tensor.file->mapping());
    const std::optional<FilePlace> place = file == files.end() ? std::nullopt : PlaceOf(tensor);
    if (place) {
      if (const auto found = file->second.known.find(*place); found != file->second.known.end()) {
        hashes[i] = found->second;
        work.remembered += place->byte_count;
        continue;
      }
    }
    unknown.push_back({i, tensor.entry, place ? &file->second : nullptr, place.value_or(FilePlace())});
  }
  InParallel(unknown.size(), threads, [&](size_t i) {
    hashes[unknown[i].index] = Sha256Hex(unknown[i].entry->data, unknown[i].entry->byte_count);
  });
  for (const Unknown& tensor : unknown) {
    work.hashed += tensor.entry->byte_count;
    if (tensor.file != nullptr) tensor.file->fresh.emplace(tensor.place, hashes[tensor.index]);
  }
  for (const auto& [mapping, file] : files) {
    if (file.fresh.empty()) continue;
    const std::string problem =
        file.settled ? cache->Keep(*mapping, file.fresh) : mapping->path() + " was changed just now";
    if (work.not_kept.empty() && !cache->folder().empty()) work.not_kept = problem;
  }
  return hashes;
}

}  // namespace

std::string FingerprintWork::Line(const std::string& path) const {
  const std::string begin = "fingerprint of " + path + ": ";
  if (hashed == 0 && remembered > 0) return begin + "remembered, " + BytesText(remembered) + " not hashed anew";
  char time[32];
  std::snprintf(time, sizeof time, "%.1f s", seconds);
  return begin + BytesText(hashed) + " hashed in " + time +
         (remembered > 0 ? ", " + BytesText(remembered) + " remembered" : "") +
         (not_kept.empty() ? "" : "; not remembered for the next start: " + not_kept);
}

std::string CheckpointFingerprint(const Checkpoint& checkpoint, const std::string& facts, int threads,
                                  std::vector<std::string>* tensor_hashes, const FingerprintCache* cache,
                                  FingerprintWork* work) {
  const auto begin = std::chrono::steady_clock::now();
  FingerprintWork done;
  std::vector<std::string> hashes = HashTensors(checkpoint, threads, cache, done);
  Sha256 digest;
  size_t i = 0;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    digest.UpdateField(tensor.entry->name);
    digest.UpdateField(tensor.entry->dtype_name());
    digest.UpdateField(ShapeText(tensor.entry->shape));
    digest.UpdateField(hashes[i++]);
  }
  digest.UpdateField(facts);
  if (tensor_hashes != nullptr) *tensor_hashes = std::move(hashes);
  if (work != nullptr) {
    done.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    *work = std::move(done);
  }
  return digest.HexDigest();
}

}  // namespace diptych
