#include "render_node/jobs/input_store.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int64_t kBlockBytes = 4096;

int64_t InBlocks(int64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes; }

std::string Megabytes(int64_t bytes) { return std::to_string(bytes / 1'000'000) + " MB"; }

Error Lost(const std::string& sha256, const std::string& why) {
  return Error(ErrorCode::kDataLoss, "input " + sha256 + " cannot be used: " + why);
}

}  // namespace

InputStore::InputStore(std::filesystem::path folder, InputLimits limits)
    : folder_(std::move(folder)), limits_(limits), bytes_(BytesIn(folder_, kBlockBytes)) {}

std::unique_ptr<InputUpload> InputStore::Begin(const std::string& sha256, int64_t byte_count, const std::string& host) {
  if (!IsSha256Hex(sha256)) {
    throw Error(ErrorCode::kInvalidArgument, "sha256 is not the SHA-256 of an input, 64 lower-case hexadecimal digits");
  }
  if (byte_count < 1 || byte_count > limits_.input_bytes) {
    throw Error(ErrorCode::kInvalidArgument, "an input of " + std::to_string(byte_count) +
                                                 " bytes is not taken; it has 1 to " +
                                                 std::to_string(limits_.input_bytes) + " bytes (" +
                                                 std::to_string(limits_.input_bytes >> 20) + " MiB)");
  }
  Take(byte_count, host);
  try {
    return std::make_unique<InputUpload>(*this, sha256, byte_count);
  } catch (...) {
    GiveBack(byte_count);
    throw;
  }
}

void InputStore::Take(int64_t bytes, const std::string& host) {
  using std::chrono::steady_clock;
  const std::lock_guard lock(mutex_);
  const int64_t blocks = InBlocks(bytes);
  const int64_t minute = std::chrono::floor<std::chrono::minutes>(steady_clock::now().time_since_epoch()).count();
  while (!arrivals_.empty() && minute - arrivals_.begin()->first.first > limits_.kept.count()) {
    const auto of_host = hosts_.find(arrivals_.begin()->first.second);
    if ((of_host->second -= arrivals_.begin()->second) <= 0) hosts_.erase(of_host);
    arrivals_.erase(arrivals_.begin());
  }
  if (limits_.all_bytes > 0 && bytes_ + blocks > limits_.all_bytes) {
    throw Error(ErrorCode::kResourceExhausted, "the inputs of all jobs take as much as they may (" +
                                                   Megabytes(limits_.all_bytes) +
                                                   ", render.inputs_mb); try again later");
  }
  const auto of_host = hosts_.find(host);
  if (limits_.host_bytes > 0 && of_host != hosts_.end() && of_host->second + blocks > limits_.host_bytes) {
    throw Error(ErrorCode::kResourceExhausted,
                "your host has uploaded as much as one may within " + std::to_string(limits_.kept.count()) +
                    " minutes (" + Megabytes(limits_.host_bytes) + ", render.host_inputs_mb); try again later");
  }
  bytes_ += blocks;
  hosts_[host] += blocks;
  arrivals_[{minute, host}] += blocks;
}

void InputStore::GiveBack(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  bytes_ -= InBlocks(bytes);
}

void InputStore::Publish(const std::string& sha256, int64_t bytes, UnfinishedFile& file) {
  const std::filesystem::path path = PathOf(sha256);
  std::error_code none;
  bool was_there = false;
  {
    const std::lock_guard lock(mutex_);
    was_there = RenewFile(path);  // from here on no sweep takes it
  }
  PublishDurably(file, path);  // over one that is there: that may be damaged
  if (was_there) GiveBack(bytes);
}

bool InputStore::Renew(const std::string& sha256) {
  if (!IsSha256Hex(sha256)) return false;
  const std::lock_guard lock(mutex_);
  return RenewFile(PathOf(sha256));
}

std::string InputStore::Load(const std::string& sha256) const {
  std::vector<uint8_t> bytes;
  try {
    bytes = ReadWholeFile(PathOf(sha256));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) throw Lost(sha256, "it is not there any more; upload it again");
    throw;
  }
  if (Sha256Hex(bytes.data(), bytes.size()) != sha256) throw Lost(sha256, "its bytes are not those of its name");
  return {bytes.begin(), bytes.end()};
}

std::string InputStore::Head(const std::string& sha256, size_t bytes) const {
  std::ifstream file(PathOf(sha256), std::ios::binary);
  std::string head(bytes, '\0');
  file.read(head.data(), static_cast<std::streamsize>(bytes));
  head.resize(static_cast<size_t>(file.gcount()));
  if (head.empty()) throw Lost(sha256, "it is not there any more; upload it again");
  return head;
}

std::vector<std::string> InputStore::NamesOlderThan(std::chrono::minutes age) const {
  std::vector<std::string> names;
  for (const std::filesystem::path& file : FilesOlderThan(folder_, std::max(age, limits_.kept))) {
    if (IsSha256Hex(file.filename().string())) names.push_back(file.filename().string());
  }
  return names;
}

bool InputStore::RemoveOlderThan(const std::string& sha256, std::chrono::minutes age) {
  const std::lock_guard lock(mutex_);
  const std::filesystem::path path = PathOf(sha256);
  std::error_code gone;
  const uintmax_t size = std::filesystem::file_size(path, gone);
  if (gone || !RemoveFileOlderThan(path, std::max(age, limits_.kept))) return false;
  bytes_ -= InBlocks(static_cast<int64_t>(size));
  return true;
}

int64_t InputStore::Bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

// Only what is a name becomes part of a path.
std::filesystem::path InputStore::PathOf(const std::string& sha256) const {
  if (!IsSha256Hex(sha256)) throw Lost("of no name", "it is none");
  return folder_ / sha256;
}

InputUpload::InputUpload(InputStore& store, std::string sha256, int64_t byte_count)
    : store_(store), sha256_(std::move(sha256)), byte_count_(byte_count), file_(store.PathOf(sha256_)) {}

InputUpload::~InputUpload() {
  if (!published_) store_.GiveBack(byte_count_);
}

void InputUpload::Add(std::string_view bytes) {
  received_ += static_cast<int64_t>(bytes.size());
  if (received_ > byte_count_) {
    throw Error(ErrorCode::kDataLoss,
                "the input has more than the " + std::to_string(byte_count_) + " bytes that its head says");
  }
  digest_.Update(bytes);
  file_.Write(bytes.data(), bytes.size());
}

void InputUpload::Finish() {
  if (received_ < byte_count_) {
    throw Error(ErrorCode::kDataLoss,
                "the input ends after " + std::to_string(received_) + " of " + std::to_string(byte_count_) + " bytes");
  }
  if (const std::string found = digest_.HexDigest(); found != sha256_) {
    throw Error(ErrorCode::kDataLoss, "the input's bytes have the SHA-256 " + found + ", its head says " + sha256_);
  }
  store_.Publish(sha256_, byte_count_, file_);
  published_ = true;
}

}  // namespace diptych
