// Where jobs live: every accepted job, its state and its outcome. Tensors and pictures lie in files beside it, named by
// hash or id.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "render_node/jobs/job.h"
#include "render_node/jobs/uploaded_conditioning.h"

namespace diptych {

inline constexpr int32_t kDefaultListLimit = 100;
inline constexpr int32_t kMaxListLimit = 1000;

struct JobFilter {
  int32_t limit = 0;          // 1 to kMaxListLimit; 0: kDefaultListLimit
  std::string before_id;      // set: only jobs older than this one
  std::set<JobState> states;  // empty: all
  std::string client;         // empty: all
};

// How far a job is and how it ended: what changes while its spec stays.
struct JobProgress {
  int32_t step = 0;
  JobTimings timings;
  PromptFits fits;
  std::string error;
  std::string error_code;
  std::string detail;
  int64_t finished_unix_ms = 0;
};
inline JobProgress ProgressOf(const Job& job) {
  return {job.step, job.timings, job.fits, job.error, job.error_code, job.detail, job.finished_unix_ms};
}

// Thread-safe. What a method changed survives the death of the process once it has returned, and that of the machine
// once a later Sync has. Besides the errors named, all throw Error when the store itself fails: kResourceExhausted
// (disk full), kDataLoss (damaged), kUnavailable (locked, read-only), kInternal.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // Stores a job as queued and returns its id. `spec` has passed ValidateSpec.
  virtual std::string Accept(const JobSpec& spec, const UploadedConditioning& uploaded, int64_t now_unix_ms) = 0;

  virtual std::optional<Job> Get(const std::string& id) = 0;

  // Newest first. A job whose specification is damaged comes without it and with the reason as detail. Throws
  // Error(kInvalidArgument) for a limit out of range or a before_id that is no id.
  virtual std::vector<Job> List(const JobFilter& filter) = 0;

  // All waiting jobs, oldest first.
  virtual std::vector<QueuedJob> Queued() = 0;

  // Moves the job on and replaces its progress; to encoding begins an attempt and counts it. Throws Error: kNotFound;
  // kFailedPrecondition when `from` -> `to` is not legal or the job is not in `from` (nothing is changed then).
  virtual void Transition(const std::string& id, JobState from, JobState to, const JobProgress& progress) = 0;

  // Stores the progress of a job that stays in `state`. Nothing happens when it is in another one by now.
  virtual void SaveProgress(const std::string& id, JobState state, const JobProgress& progress) = 0;

  // Returns all jobs on which work was under way to queued: for the start of a daemon, before anything claims. Returns
  // how many.
  virtual int64_t RequeueUnfinished() = 0;

  // What was uploaded with the job. Throws Error: kNotFound for an unknown job, kDataLoss for missing or damaged files.
  virtual UploadedConditioning LoadConditioning(const std::string& id) = 0;

  // Waits for the disk; others use the store meanwhile. What was changed earlier is then on it, in the order of the
  // changes: a power cut before leaves some moment between.
  virtual void Sync() = 0;
};

}  // namespace diptych
