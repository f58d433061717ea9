#include "common/weights/model_files.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <utility>

#include "common/error/error.h"
#include "common/weights/file_hash.h"

namespace diptych {
namespace {

// Calls `same` for 0 to n-1 on all processors until one says no.
bool AllAre(size_t n, const std::function<bool(size_t, std::vector<uint8_t>&)>& same) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> all = true;
  const auto work = [&] {
    std::vector<uint8_t> buffer(1 << 20);
    for (size_t i = next++; i < n && all; i = next++) {
      if (!same(i, buffer)) all = false;
    }
  };
  std::vector<std::future<void>> workers;
  for (unsigned i = 1; i < std::thread::hardware_concurrency() && i < n; ++i) {
    workers.push_back(std::async(std::launch::async, work));
  }
  work();
  for (std::future<void>& worker : workers) worker.get();
  return all;
}

}  // namespace

void ModelFiles::AddWeights(std::shared_ptr<const Checkpoint> checkpoint, std::vector<std::string> tensor_hashes) {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, file] : checkpoint->files()) {
    if (file->mapping() == nullptr) continue;
    Weights& weights = weights_.emplace_back();
    weights.checkpoint = checkpoint;
    weights.mapping = file->mapping();
    weights.facts = file->mapping()->facts();
    size_t i = 0;
    for (const auto& [name, tensor] : checkpoint->tensors()) {
      const std::string& hash = tensor_hashes.at(i++);
      if (tensor.file != file.get()) continue;
      const auto offset = static_cast<uint64_t>(tensor.entry->data - file->mapping()->bytes().data());
      weights.tensors.push_back({tensor.entry, offset, hash});
    }
  }
}

void ModelFiles::AddRead(const std::vector<FileRead>& files) {
  const std::lock_guard lock(mutex_);
  for (const FileRead& file : files) {
    const auto is_it = [&](const std::string& path) { return path == file.path; };
    if (std::any_of(weights_.begin(), weights_.end(), [&](const Weights& w) { return is_it(w.mapping->path()); }))
      continue;
    if (std::any_of(others_.begin(), others_.end(), [&](const Other& o) { return is_it(o.file.path); })) continue;
    others_.push_back({file, ""});
  }
}

// Why these weights cannot be used; empty: they can.
std::string ModelFiles::Problem(const Weights& weights) const {
  const MappedFile& file = *weights.mapping;
  if (!file.copied_because().empty() || !weights.checkpoint->IsUsedInPlace()) return "";  // what we have is a copy
  const std::optional<FileFacts> now = file.FactsNow();
  if (now == weights.facts) return "";
  if (now && now == weights.judged) return weights.verdict;
  if (!now) return file.path() + ": its file system does not answer; waiting for it";
  return file.path() + ": was changed while in use (" + DifferenceText(weights.facts, now) +
         "); waiting until nobody writes to it and its weights have been looked at";
}

// Whether what the file has now is what was loaded. Reads all of it, without the lock; the facts are changed under it.
void ModelFiles::Judge(Weights& weights) {
  const MappedFile& file = *weights.mapping;
  const std::optional<FileFacts> now = file.FactsNow();
  if (!now || pace_.just_changed(*now)) return;
  const bool same =
      now->size >= weights.facts.size && AllAre(weights.tensors.size(), [&](size_t i, std::vector<uint8_t>& buffer) {
        const Tensor& tensor = weights.tensors[i];
        return HashNow(file, tensor.offset, tensor.entry->byte_count, buffer) == tensor.sha256;
      });
  if (file.FactsNow() != now) return;  // the next look tells
  const std::string difference = DifferenceText(weights.facts, now);
  const std::lock_guard lock(mutex_);
  if (same) {
    weights.facts = *now;
    lines_.push_back(file.path() + ": " + difference + ", and has the same weights; they stay in use");
    return;
  }
  weights.judged = now;
  weights.since = std::chrono::steady_clock::now();
  weights.verdict = file.path() + ": was changed while in use (" + difference +
                    "): its weights are not those that were loaded; nothing is computed with them";
}

void ModelFiles::ThrowIfChanged() {
  const std::lock_guard lock(mutex_);
  for (Weights& weights : weights_) {
    if (const std::string problem = Problem(weights); !problem.empty()) throw Error(ErrorCode::kUnavailable, problem);
  }
}

void ModelFiles::TellOfPath(const std::string& path, const FileFacts& loaded, std::string& told) {
  std::string difference = DifferenceText(loaded, FactsOf(path));
  if (difference == told) return;
  told = difference;
  if (difference.empty()) difference = "it is again the file that was loaded";
  lines_.push_back(path + ": " + difference +
                   " since the model was loaded; what was loaded stays in use until the next start");
}

ModelNews ModelFiles::Look() {
  for (Weights& weights : weights_) {
    const bool asks = !Problem(weights).empty() && weights.mapping->FactsNow() != weights.judged;
    if (asks) Judge(weights);
  }
  const std::lock_guard lock(mutex_);
  ModelNews news;
  for (Weights& weights : weights_) {
    std::string problem = Problem(weights);
    if (problem.empty()) {
      TellOfPath(weights.mapping->path(), weights.facts, weights.told);
      continue;
    }
    const auto lies = std::chrono::steady_clock::now() - weights.since;
    news.over = news.over || (weights.judged && weights.judged == weights.mapping->FactsNow() && lies >= pace_.settled);
    if (news.refused.empty()) news.refused = std::move(problem);
  }
  for (Other& other : others_) TellOfPath(other.file.path, other.file.facts, other.told);
  if (news.refused != refused_) {
    lines_.push_back(news.refused.empty() ? "the files of the model are as they were loaded; work goes on"
                                          : news.refused);
    refused_ = news.refused;
  }
  news.lines = std::exchange(lines_, {});
  return news;
}

}  // namespace diptych
