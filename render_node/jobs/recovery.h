// What becomes of the jobs on which work was under way when the daemon ended.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "render_node/jobs/job_store.h"

namespace diptych {

// A job that ends the daemon this often, without getting further in between, has failed.
inline constexpr int32_t kMostCrashes = 3;

// The suspects of a crash are the jobs that were painted and those that were encoded, but for those that only waited
// for an encoder. The queue works on suspects alone, so that an innocent one is not suspected again. A crash counts
// against a suspect, and only those without progress in between count together: one that has finished another step
// since, or has come from encoding to rendering, is as good as new. `checkpoint_step`: the finished steps that its
// checkpoint has, 0 without one; only asked of jobs that were painted.
JobCrashes CrashesAfter(const Job& job, const std::function<int32_t(const std::string& id)>& checkpoint_step);

struct Recovery {
  int64_t waiting = 0;             // made to wait again
  std::vector<Job> failed = {};    // after kMostCrashes
  std::vector<JobRows> rows = {};  // of these: their files may go (JobUploads::Release)
};

// Makes every job wait again, or fails it, on which nobody who lives is at work (JobStore::TakeOver): what an earlier
// life of `owner` left, and what others left whose lease has run out. For the start of a daemon, before anything
// claims, and with the proof that the earlier life is over: the lock of its state folder. A daemon that stops in an
// orderly way leaves no suspects: it hands its jobs back first. Throws Error when the store fails. `asked`: the last
// daemon had been asked to stop, so whatever ended it in the middle of its work was not a job.
Recovery RecoverInterrupted(JobStore& store, const LeaseOwner& owner,
                            const std::function<int32_t(const std::string& id)>& checkpoint_step, int64_t now_unix_ms,
                            bool asked = false);

}  // namespace diptych
