#include "render_node/jobs/checkpoint_store.h"

#include <system_error>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "render_node/jobs/job_id.h"

namespace diptych {
namespace {

constexpr std::string_view kExtension = ".checkpoint";

std::vector<uint8_t> ReadBounded(const std::filesystem::path& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size > kMaxCheckpointBytes) throw Error(ErrorCode::kDataLoss, "the file is too large");
  return ReadWholeFile(path);
}

}  // namespace

CheckpointStore::CheckpointStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

void CheckpointStore::Save(const std::string& job_id, const PictureCheckpoint& checkpoint) {
  const std::vector<uint8_t> bytes = FormatCheckpoint(job_id, checkpoint);
  ReplaceFile(PathOf(job_id), {{bytes.data(), bytes.size()}});
}

CheckpointLoad CheckpointStore::Load(const std::string& job_id, const std::string& determinants) {
  const std::filesystem::path path = PathOf(job_id);
  CheckpointLoad load;
  try {
    const std::vector<uint8_t> bytes = ReadBounded(path);
    PictureCheckpoint checkpoint = ParseCheckpoint(job_id, {bytes.data(), bytes.size()});
    if (checkpoint.determinants == determinants) {
      load.checkpoint = std::move(checkpoint);
      return load;
    }
    load.refused = "it is of another picture: parameters, conditioning or models differ";
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return load;
    load.refused = error.what();
    if (error.code() != ErrorCode::kDataLoss) return load;
  }
  std::error_code ignored;  // a file that stays is refused again
  std::filesystem::remove(path, ignored);
  return load;
}

int32_t CheckpointStore::StepOf(const std::string& job_id) const {
  try {
    const std::vector<uint8_t> bytes = ReadBounded(PathOf(job_id));
    return ParseCheckpoint(job_id, {bytes.data(), bytes.size()}).latent.step;
  } catch (const Error&) {
    return 0;
  }
}

void CheckpointStore::Remove(const std::string& job_id) {
  std::error_code error;
  std::filesystem::remove(PathOf(job_id), error);
  if (error) {
    throw Error(ErrorCode::kInternal, "cannot remove the checkpoint of job " + job_id + ": " + error.message());
  }
}

void CheckpointStore::RemoveAllBut(const std::set<std::string>& job_ids) {
  RemoveUnfinishedFiles(folder_);
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() != kExtension || job_ids.contains(path.stem().string())) continue;
    std::error_code ignored;  // another attempt comes with the next start
    std::filesystem::remove(path, ignored);
  }
}

// Ids come from the wire too: only what is an id becomes part of a path.
std::filesystem::path CheckpointStore::PathOf(const std::string& job_id) const {
  if (!IsJobId(job_id))
    throw Error(ErrorCode::kNotFound, "there is no such job: an id is 26 digits and capital letters");
  return folder_ / (job_id + std::string(kExtension));
}

}  // namespace diptych
