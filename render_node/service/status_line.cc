#include "render_node/service/status_line.h"

#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

std::string AtWork(const JobQueue::Census::AtWork& job) {
  switch (job.state) {
    case JobState::kRendering:
      return absl::StrCat("painting ", job.id, ", step ", job.step, " of ", job.steps);
    case JobState::kDecoding:
      return absl::StrCat("decoding ", job.id);
    default:
      return absl::StrCat("encoding ", job.id, job.detail.empty() ? "" : ", ", job.detail);
  }
}

}  // namespace

std::string StatusLine(const JobQueue::Census& queue) {
  const int64_t waiting = queue.Count(JobState::kQueued) + queue.Count(JobState::kReady);
  return absl::StrCat(queue.at_work ? AtWork(*queue.at_work) : "idle", "; ",
                      queue.pause ? absl::StrCat("paused by ", queue.pause->by, "; ") : "",
                      waiting == 0   ? "no jobs wait"
                      : waiting == 1 ? "1 job waits"
                                     : absl::StrCat(waiting, " jobs wait"));
}

}  // namespace diptych
