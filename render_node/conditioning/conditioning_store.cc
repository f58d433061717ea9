#include "render_node/conditioning/conditioning_store.h"

#include <new>
#include <sstream>
#include <utility>
#include <vector>

#include "common/digest/sha256.h"
#include "render_node/jobs/durable_file.h"

namespace diptych {
namespace {

// For the strings of a header and the nodes of list and map: many short prompts are not free.
constexpr int64_t kEntryOverhead = 1024;

constexpr char kIdentityFile[] = "identity";
constexpr char kIdentityVersion[] = "diptych-encoder-identity-1";

// "<checksum>\n<version> <model> <tokenizer> <dtype>\n"
std::string IdentityText(const EncoderIdentity& identity) {
  std::ostringstream line;
  // A dash stands for what is empty, which no fingerprint is.
  const auto word = [](const std::string& text) { return text.empty() ? "-" : text; };
  line << kIdentityVersion << ' ' << word(identity.model_fingerprint) << ' ' << word(identity.tokenizer_fingerprint)
       << ' ' << StateDtypeName(identity.dtype) << '\n';
  return Sha256Hex(line.str()) + "\n" + line.str();
}

// Throws, or gives nothing, for anything but an IdentityText.
std::optional<EncoderIdentity> ParseIdentity(const std::string& text) {
  std::istringstream words(text);
  std::string checksum, version, model, tokenizer, dtype;
  if (!(words >> checksum >> version >> model >> tokenizer >> dtype)) return std::nullopt;
  const EncoderIdentity identity{model == "-" ? "" : model, tokenizer == "-" ? "" : tokenizer, ParseStateDtype(dtype)};
  if (IdentityText(identity) != text) return std::nullopt;
  return identity;
}

std::optional<EncoderIdentity> ReadIdentity(const std::filesystem::path& path) {
  try {
    const std::vector<uint8_t> bytes = ReadWholeFile(path);
    return ParseIdentity({bytes.begin(), bytes.end()});
  } catch (const std::exception&) {
    return std::nullopt;  // the first encoder that answers says it again
  }
}

}  // namespace

ConditioningStore::ConditioningStore(ConditioningStoreOptions options) : options_(std::move(options)) {
  if (options_.disk_limit <= 0) return;
  disk_ = std::make_unique<ConditioningDisk>(options_.folder, options_.disk_limit);
  identity_ = ReadIdentity(options_.folder / kIdentityFile);
}

std::optional<Conditioning> ConditioningStore::Find(const std::string& key, bool* damaged) {
  if (const std::shared_ptr<const Conditioning> found = FindInMemory(key)) {
    if (disk_) disk_->Touch(key);
    return *found;
  }
  bool was_damaged = false;
  std::optional<Conditioning> found = disk_ ? disk_->Read(key, was_damaged) : std::nullopt;
  if (damaged != nullptr) *damaged = was_damaged;
  if (found) KeepInMemory(key, std::make_shared<Conditioning>(*found));
  const std::lock_guard<std::mutex> lock(mutex_);
  ++(found ? stats_.disk_hits : stats_.misses);
  return found;
}

bool ConditioningStore::Has(const std::string& key) const {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (entries_.contains(key)) return true;
  }
  return disk_ && disk_->Has(key);
}

void ConditioningStore::Put(const std::string& key, const Conditioning& conditioning) {
  try {
    KeepInMemory(key, std::make_shared<Conditioning>(conditioning));
  } catch (const std::bad_alloc&) {  // it is the copy that is lost; the caller has its own
  }
  if (disk_) disk_->Write(key, conditioning);
}

ConditioningStore::Stats ConditioningStore::stats() const {
  const ConditioningDisk::Stats disk = disk_ ? disk_->stats() : ConditioningDisk::Stats();
  const std::lock_guard<std::mutex> lock(mutex_);
  Stats stats = stats_;
  stats.damaged = disk.damaged;
  stats.disk_failures += disk.failures;
  if (stats.last_failure.empty()) stats.last_failure = disk.last_failure;
  stats.disk_bytes = disk.bytes;
  stats.entries = disk.entries;
  for (const auto& [key, entry] : entries_) stats.entries += disk_ && disk_->Has(key) ? 0 : 1;
  return stats;
}

std::optional<EncoderIdentity> ConditioningStore::identity() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return identity_;
}

void ConditioningStore::SetIdentity(const EncoderIdentity& identity) {
  const std::lock_guard<std::mutex> one_at_a_time(identity_writing_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (identity_ == identity) return;
    identity_ = identity;
  }
  if (!disk_) return;
  try {
    const std::string text = IdentityText(identity);
    WriteFileDurably(options_.folder / kIdentityFile, {{text.data(), text.size()}});
  } catch (const std::exception& error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++stats_.disk_failures;
    stats_.last_failure = error.what();
  }
}

std::shared_ptr<const Conditioning> ConditioningStore::FindInMemory(const std::string& key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return nullptr;
  order_.splice(order_.begin(), order_, at->second.place);
  ++stats_.memory_hits;
  return at->second.conditioning;
}

void ConditioningStore::KeepInMemory(const std::string& key, std::shared_ptr<const Conditioning> conditioning) {
  const int64_t bytes = static_cast<int64_t>(conditioning->bytes.size()) + kEntryOverhead;
  if (bytes > options_.memory_limit) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (entries_.contains(key)) return;
  order_.push_front(key);
  entries_[key] = {std::move(conditioning), bytes, order_.begin()};
  stats_.memory_bytes += bytes;
  while (stats_.memory_bytes > options_.memory_limit) {
    const auto oldest = entries_.find(order_.back());
    stats_.memory_bytes -= oldest->second.bytes;
    entries_.erase(oldest);
    order_.pop_back();
  }
}

}  // namespace diptych
