#include "render_node/jobs/job_store.h"

#include "common/error/error.h"

namespace diptych {

void CheckTransition(const std::string& id, JobState from, JobState to) {
  if (IsLegal(from, to) && to != JobState::kEncoding) return;
  throw Error(ErrorCode::kFailedPrecondition, "job " + id + " cannot go from " + std::string(JobStateName(from)) +
                                                  " to " + std::string(JobStateName(to)) +
                                                  (IsLegal(from, to) ? " without being claimed" : ""));
}

}  // namespace diptych
