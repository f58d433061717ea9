#include "render_node/jobs/uploaded_conditioning.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/conditioning/conditioning_hash.h"
#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/conditioning/conditioning_header_json.h"
#include "render_node/jobs/durable_file.h"

// A file is one line of JSON, the header, and then the rows. Its name is the hash over both.
namespace diptych {
namespace {

Conditioning Parse(std::vector<uint8_t> file) {
  const auto line_end = std::find(file.begin(), file.end(), '\n');
  if (line_end == file.end()) throw Error(ErrorCode::kDataLoss, "it has no header line");
  Conditioning conditioning;
  conditioning.header = ConditioningHeaderFromJson(
      {reinterpret_cast<const char*>(file.data()), static_cast<size_t>(line_end - file.begin())});
  conditioning.bytes.assign(line_end + 1, file.end());
  return conditioning;
}

}  // namespace

int64_t BytesOf(const UploadedConditioning& uploaded) {
  size_t bytes = 0;
  for (const std::optional<Conditioning>* upload : {&uploaded.positive, &uploaded.negative}) {
    if (*upload) bytes += (*upload)->bytes.size();
  }
  return static_cast<int64_t>(bytes);
}

HeldUpload::HeldUpload(ConditioningFiles& files, std::string hash) : files_(files), hash_(std::move(hash)) {
  const std::lock_guard lock(files_.holding_);
  files_.held_.insert(hash_);
}

HeldUpload::~HeldUpload() {
  const std::lock_guard lock(files_.holding_);
  files_.held_.erase(files_.held_.find(hash_));
}

ConditioningFiles::ConditioningFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

std::string ConditioningFiles::Save(const Conditioning& conditioning) {
  CheckConditioning(conditioning);
  const std::string hash = ConditioningHash(conditioning);
  const std::string line = ConditioningHeaderToJson(conditioning.header) + "\n";
  {
    const std::lock_guard lock(sweeping_);
    RenewFile(folder_ / hash);  // from here on no sweep takes it
  }
  WriteFileDurably(folder_ / hash,
                   {{line.data(), line.size()}, {conditioning.bytes.data(), conditioning.bytes.size()}});
  return hash;
}

Conditioning ConditioningFiles::Load(const std::string& hash) const {
  const auto lost = [&](const std::exception& error) {
    return Error(ErrorCode::kDataLoss, "uploaded conditioning " + hash + " cannot be used: " + error.what());
  };
  std::vector<uint8_t> file;
  try {
    file = ReadWholeFile(folder_ / hash);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kDataLoss) throw lost(error);
    throw;  // a file that cannot be read now is not lost
  }
  try {
    Conditioning conditioning = Parse(std::move(file));
    if (ConditioningHash(conditioning) != hash)
      throw Error(ErrorCode::kDataLoss, "its bytes are not those of its name");
    return conditioning;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw lost(error);
  }
}

bool ConditioningFiles::RemoveUnlessHeld(const std::string& hash, const std::function<bool()>& is_needed) {
  const std::lock_guard lock(holding_);
  if (held_.contains(hash) || is_needed()) return false;
  return std::filesystem::remove(folder_ / hash);
}

bool ConditioningFiles::RemoveOlderThan(const std::string& hash, std::chrono::minutes age) {
  const std::lock_guard lock(sweeping_);
  return RemoveFileOlderThan(folder_ / hash, age);
}

std::vector<std::string> ConditioningFiles::NamesOlderThan(std::chrono::minutes age) const {
  std::vector<std::string> names;
  for (const std::filesystem::path& file : FilesOlderThan(folder_, age)) {
    if (IsSha256Hex(file.filename().string())) names.push_back(file.filename().string());
  }
  return names;
}

}  // namespace diptych
