#include "render_node/service/job_messages.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"

namespace diptych {

JobReport ReportOf(const Job& job, const JobQueue::Outlook& outlook) {
  JobReport report;
  report.id = job.id;
  report.state = job.state;
  report.step = job.step;
  report.sigma = job.sigma;
  if (const std::vector<double>& done = job.timings.step_ms; job.state == JobState::kRendering && !done.empty()) {
    const double mean = std::accumulate(done.begin(), done.end(), 0.0) / static_cast<double>(done.size());
    report.left_ms = mean * std::max(0, job.spec.Evaluations() - job.step);
  }
  if (job.state == JobState::kDecoding) {
    report.tiles_done = job.tiles_done;
    report.tiles = job.tiles;
  }
  report.until_done_ms = outlook.until_done_ms;
  report.place = outlook.place;
  report.error = job.error;
  report.error_code = job.error_code;
  report.detail = job.detail;
  report.accepted_unix_ms = job.accepted_unix_ms;
  report.finished_unix_ms = job.finished_unix_ms;
  report.attempt = job.attempt;
  report.deadline_unix_ms = job.deadline_unix_ms;
  report.timings = job.timings;
  report.fits = job.fits;
  report.sequence = job.sequence;
  report.prompts_shortened = job.prompts_shortened;
  if (job.picture != job.id) report.picture_sha256 = job.picture;
  report.picture_bytes = job.picture_bytes;
  return report;
}

v1::Job ToProto(const Job& job, const JobQueue::Outlook& outlook) {
  v1::Job message = ToProto(ReportOf(job, outlook));
  *message.mutable_spec() = ToProto(job.spec);
  return message;
}

absl::StatusOr<JobState> StateAskedFor(v1::JobState state) {
  if (const JobState known = FromProto(state); known != JobState::kUnknown) return known;
  return absl::InvalidArgumentError(
      absl::StrCat("job state ", static_cast<int>(state), " is not one of 1 (queued) to 8 (cancelled)"));
}

}  // namespace diptych
