// What clients upload with their jobs, between the store, which knows hashes, and the files that these name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "render_node/jobs/job_store.h"
#include "render_node/jobs/uploaded_conditioning.h"

namespace diptych {

// Thread-safe.
class JobUploads {
 public:
  // Both must outlive it.
  JobUploads(JobStore& store, ConditioningFiles& files) : store_(store), files_(files) {}

  // As JobStore::Accept, with what the hashes stand for. Files come first, so that a row never names one that is not
  // there; what no row names in the end goes again. Throws Error also as ConditioningFiles::Save.
  AcceptedJob Accept(const JobSpec& spec, const UploadedConditioning& uploaded, int64_t now_unix_ms,
                     const std::string& host = "");

  // As JobStore::FindAccepted.
  std::optional<std::string> FindAccepted(const JobSpec& spec, const UploadedConditioning& uploaded);

  // What was uploaded with the job. Throws Error: kNotFound for an unknown job; as ConditioningFiles::Load.
  UploadedConditioning Load(const std::string& id);

  // Removes the files that a job needed which has ended, but for those that somebody holds or another unfinished job
  // needs. One that cannot be removed now is left to a sweep.
  void Release(const JobRows& rows) noexcept;

 private:
  JobStore& store_;
  ConditioningFiles& files_;
};

}  // namespace diptych
