#include "render_node/jobs/picture_store.h"

#include <utility>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/jobs/durable_file.h"
#include "render_node/jobs/job_id.h"

namespace diptych {
PictureStore::PictureStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

std::string PictureStore::Publish(const std::vector<uint8_t>& png) {
  const std::string name = Sha256Hex(png.data(), png.size());
  const std::filesystem::path path = PathOf(name);
  if (!Renew(name)) {
    WriteUnreadFileDurably(path, {{png.data(), png.size()}});
  } else if (ReadWholeFile(path) != png) {
    WriteFileDurably(path, {{png.data(), png.size()}});  // damaged; another job's picture too, which may be read now
  } else {
    SyncFile(OpenToSync(path), path);  // whoever wrote it may still be waiting for that
    SyncFolder(folder_);
  }
  return name;
}

std::vector<uint8_t> PictureStore::Load(const std::string& name) const {
  std::vector<uint8_t> png = ReadWholeFile(PathOf(name));
  if (IsSha256Hex(name) && Sha256Hex(png.data(), png.size()) != name) {
    throw Error(ErrorCode::kDataLoss,
                "picture " + PathOf(name).string() + " is damaged: its bytes are not those of its name");
  }
  return png;
}

std::unique_ptr<PictureFile> PictureStore::Open(const std::string& name) const {
  return std::make_unique<PictureFile>(PathOf(name), IsSha256Hex(name) ? name : "");
}

bool PictureStore::Has(const std::string& name) const { return std::filesystem::exists(PathOf(name)); }

bool PictureStore::Renew(const std::string& name) {
  const std::lock_guard lock(sweeping_);
  return RenewFile(PathOf(name));
}

bool PictureStore::RemoveOlderThan(const std::string& name, std::chrono::minutes age) {
  const std::lock_guard lock(sweeping_);
  return RemoveFileOlderThan(PathOf(name), age);
}

std::vector<std::string> PictureStore::NamesOlderThan(std::chrono::minutes age) const {
  std::vector<std::string> names;
  for (const std::filesystem::path& file : FilesOlderThan(folder_, age)) {
    std::string name = file.stem().string();
    if (file.extension() == ".png" && (IsSha256Hex(name) || IsJobId(name))) names.push_back(std::move(name));
  }
  return names;
}

int64_t PictureStore::Bytes() const { return BytesIn(folder_); }

// Only what is a name becomes part of a path.
std::filesystem::path PictureStore::PathOf(const std::string& name) const {
  if (!IsSha256Hex(name) && !IsJobId(name)) throw Error(ErrorCode::kNotFound, "the job has no picture");
  return folder_ / (name + ".png");
}

}  // namespace diptych
