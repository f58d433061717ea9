#include "render_node/jobs/recovery.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/error/error.h"

namespace diptych {
namespace {

constexpr int64_t kRecoveryMs = 60'000;      // far more than it takes
constexpr int32_t kBeforeTheFirstStep = -1;  // JobCrashes::step of a job that was encoded

bool IsPainted(const Job& job) { return job.state == JobState::kRendering || job.state == JobState::kDecoding; }

bool IsSuspect(const Job& job) { return IsPainted(job) || (job.state == JobState::kEncoding && job.detail.empty()); }

std::string WhyFailed(const Job& job) {
  const std::string place =
      job.crashes.step == kBeforeTheFirstStep
          ? "while its prompt was encoded"
          : "after step " + std::to_string(job.crashes.step) + " of " + std::to_string(job.spec.Evaluations());
  return "the render daemon ended " + std::to_string(job.crashes.count) +
         " times while it worked on this job, the last time " + place;
}

}  // namespace

JobCrashes CrashesAfter(const Job& job, const std::function<int32_t(const std::string& id)>& checkpoint_step) {
  const int32_t step = IsPainted(job) ? checkpoint_step(job.id) : kBeforeTheFirstStep;
  const bool got_further = job.crashes.count == 0 || step > job.crashes.step;
  return {got_further ? 1 : job.crashes.count + 1, step};
}

Recovery RecoverInterrupted(JobStore& store, const LeaseOwner& owner,
                            const std::function<int32_t(const std::string& id)>& checkpoint_step, int64_t now_unix_ms,
                            bool asked) {
  const std::vector<Job> jobs = store.TakeOver(owner, now_unix_ms, kRecoveryMs);
  Recovery recovery;
  for (Job job : jobs) {
    const JobState from = job.state;
    if (!asked && IsSuspect(job)) job.crashes = CrashesAfter(job, checkpoint_step);
    job.step = 0;
    job.timings = job.timings.WaitAlone();
    job.detail.clear();
    ++job.sequence;
    const bool failed = job.crashes.count >= kMostCrashes;
    if (failed) {
      job.error = WhyFailed(job);
      job.error_code = absl::StatusCodeToString(absl::StatusCode::kInternal);
      job.finished_unix_ms = std::max(now_unix_ms, job.accepted_unix_ms);
    }
    JobRows rows;
    try {
      rows = store.Transition({job.id, job.attempt}, from, failed ? JobState::kFailed : JobState::kQueued,
                              ProgressOf(job));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kFailedPrecondition && error.code() != ErrorCode::kNotFound) throw;
      continue;  // its owner was only late, and has moved it on or ended it since
    }
    if (failed) {
      recovery.rows.push_back(std::move(rows));
      recovery.failed.push_back(std::move(job));
    } else {
      ++recovery.waiting;
    }
  }
  if (!jobs.empty()) store.Sync();
  return recovery;
}

}  // namespace diptych
