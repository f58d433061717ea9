#include "render_node/jobs/picture_store.h"

#include <system_error>
#include <utility>

#include "common/error/error.h"
#include "render_node/jobs/durable_file.h"
#include "render_node/jobs/job_id.h"

namespace diptych {

PictureStore::PictureStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

void PictureStore::Publish(const std::string& job_id, const std::vector<uint8_t>& png) {
  WriteUnreadFileDurably(PathOf(job_id), {{png.data(), png.size()}});
}

std::vector<uint8_t> PictureStore::Load(const std::string& job_id) const {
  if (!Has(job_id)) throw Error(ErrorCode::kNotFound, "job " + job_id + " has no picture");
  return ReadWholeFile(PathOf(job_id));
}

bool PictureStore::Has(const std::string& job_id) const { return std::filesystem::exists(PathOf(job_id)); }

void PictureStore::Remove(const std::string& job_id) {
  std::error_code error;
  std::filesystem::remove(PathOf(job_id), error);
  if (error) throw Error(ErrorCode::kInternal, "cannot remove the picture of job " + job_id + ": " + error.message());
}

// Ids come from the wire too: only what is an id becomes part of a path.
std::filesystem::path PictureStore::PathOf(const std::string& job_id) const {
  if (!IsJobId(job_id))
    throw Error(ErrorCode::kNotFound, "there is no such job: an id is 26 digits and capital letters");
  return folder_ / (job_id + ".png");
}

}  // namespace diptych
