// Where jobs live: every accepted job, its state and its outcome. Tensors and pictures never pass through it: they lie
// in files, which it names by hash.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "render_node/jobs/job.h"
#include "render_node/jobs/job_changes.h"

namespace diptych {

inline constexpr int32_t kDefaultListLimit = 100;
inline constexpr int32_t kMaxListLimit = 1000;

struct JobFilter {
  int32_t limit = 0;                     // 1 to kMaxListLimit; 0: kDefaultListLimit
  std::string before_id = {};            // set: only jobs older than this one
  std::set<JobState> states = {};        // empty: all
  std::string client = {};               // empty: all
  int64_t accepted_from_ms = 0;          // unix; 0: from the beginning
  int64_t accepted_before_ms = 0;        // unix, not included; 0: to the end
  std::string text = {};                 // part of the prompt's words, whatever the case of ASCII letters; empty: all
  std::string id_part = {};              // beginning or end of the id; empty: all
  int64_t bytes = 0;                     // the page ends before what is kept of its jobs comes to more; 0: never
  std::function<bool()> abandoned = {};  // asked now and then; true ends the search with Error(kCancelled)
};

// Whose work a job is: one life of one daemon.
struct LeaseOwner {
  std::string name = {};  // the same over its lives (StateFolder::name)
  std::string life = {};  // which one; never the same again

  bool operator==(const LeaseOwner&) const = default;
};

// Which piece of work on a job it is. The store refuses what an attempt does that is not the job's present one.
struct JobLease {
  std::string id;
  std::optional<int32_t> attempt = std::nullopt;  // unset: whichever is under way, for those who only end a job
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
  std::string picture;
  int64_t picture_bytes = 0;
  JobCrashes crashes;
  int64_t sequence = 0;
};
inline JobProgress ProgressOf(const Job& job) {
  return {job.step,    job.timings,       job.fits,    job.error,   job.error_code, job.detail, job.finished_unix_ms,
          job.picture, job.picture_bytes, job.crashes, job.sequence};
}

struct EndedJob {
  std::string id;
  int64_t finished_unix_ms = 0;
  int64_t picture_bytes = 0;
  std::string host = {};   // that it came from
  int64_t spec_bytes = 0;  // of its row, as good as all of it
};

// Conditioning that was uploaded with a job, by the hashes that name its files (uploaded_conditioning.h); empty: none.
struct JobRows {
  std::string positive = {};
  std::string negative = {};
  int64_t bytes = 0;  // of both, counted for the job's host until it ends; does not tell jobs apart
};

struct AcceptedJob {
  std::string id;
  bool is_new = true;  // false: the client's idempotency key had been used for this very job
};

// Thread-safe. What a method changed survives the death of the process once it has returned, and that of the machine
// once a later Sync has. Besides the errors named, all throw Error when the store itself fails: kResourceExhausted
// (disk full), kDataLoss (damaged), kUnavailable (locked, read-only), kInternal.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // To have one database open more than once is what several renderers that share it do; all then see the same jobs.
  // Times are the caller's, who passes them in: whoever shares a database on another machine takes the database's clock
  // for accepting, claiming and leases, since those of two machines differ.

  // Stores a job as queued and returns its id; the job of an earlier call when client and idempotency key are the same.
  // `spec` has passed ValidateSpec; the files that `rows` and `spec` (InputsOf) name are on the disk; `host` is where
  // the job comes from. Throws Error(kFailedPrecondition) when the key was used for another specification or other
  // rows.
  virtual AcceptedJob Accept(const JobSpec& spec, const JobRows& rows, int64_t now_unix_ms,
                             const std::string& host = "") = 0;

  // The job that Accept would give back for its idempotency key; nothing when it would store a new one. Throws as
  // Accept.
  virtual std::optional<std::string> FindAccepted(const JobSpec& spec, const JobRows& rows) = 0;

  virtual std::optional<Job> Get(const std::string& id) = 0;

  // Newest first, with shortened prompts. A job whose specification is damaged comes without it and with the reason as
  // detail. Whoever lists takes turns with the others who do, every few milliseconds, and holds up nobody else. Throws
  // Error(kInvalidArgument) for a limit out of range or a before_id that is no id.
  virtual std::vector<Job> List(const JobFilter& filter) = 0;

  // All waiting jobs, oldest first.
  virtual std::vector<QueuedJob> Queued() = 0;

  // Begins an attempt on a waiting job (BeginAttempt). It is `owner`'s from now on, and nobody takes it over before
  // `now_unix_ms` + `lease_ms`, or later with Renew. Nothing when it does not wait: it has ended, or another owner was
  // faster. Throws Error(kDataLoss) for one that cannot be read; that one waits on.
  virtual std::optional<Job> Claim(const std::string& id, const LeaseOwner& owner, int64_t now_unix_ms,
                                   int64_t lease_ms) = 0;

  // Holds all jobs on which `owner` is at work until `now_unix_ms` + `lease_ms`, and returns how many they are: fewer
  // than it knows of, when others have taken some over.
  virtual int64_t Renew(const LeaseOwner& owner, int64_t now_unix_ms, int64_t lease_ms) = 0;

  // Gives `owner` the jobs on which nobody who lives is at work: whose lease has run out, and at once those of an
  // earlier life of the same name, of which the caller knows that it is over. Returns them as they are, oldest first; a
  // damaged one as in List. The attempt goes on being that of the former owner until the job was made to wait
  // (RecoverInterrupted) and is claimed anew; then what that one still does is refused.
  virtual std::vector<Job> TakeOver(const LeaseOwner& owner, int64_t now_unix_ms, int64_t lease_ms) = 0;

  // Moves the job on and replaces its progress; to queued, it is nobody's. Whose work is over needs its uploads and
  // inputs no more: returns what the uploads were, for whoever keeps the files. One that ends without a picture keeps
  // shortened prompts. Throws Error: kNotFound; kFailedPrecondition when `from` -> `to` is not legal or is Claim's, the
  // job is not in `from` or the lease is not its present one (nothing is changed then).
  virtual JobRows Transition(const JobLease& lease, JobState from, JobState to, const JobProgress& progress) = 0;

  // Stores the progress of a job that stays in `state`. Nothing happens when it is in another one by now, or under
  // another lease: a report that comes late undoes nothing.
  virtual void SaveProgress(const JobLease& lease, JobState state, const JobProgress& progress) = 0;

  // All jobs that have ended, newest end first. Others use the store meanwhile.
  virtual std::vector<EndedJob> Ended() = 0;

  // Forgets a job that has ended, and its idempotency key. False when there is none. Throws Error(kFailedPrecondition)
  // for one that has not ended.
  virtual bool Delete(const std::string& id) = 0;

  // Which of these names of pictures, uploaded conditioning or inputs no job refers to: a picture by the job that made
  // it, the others by those that have not ended.
  virtual std::vector<std::string> Unreferenced(const std::vector<std::string>& names) = 0;

  // What was uploaded with the job, whether it still needs it or not. Throws Error(kNotFound).
  virtual JobRows Rows(const std::string& id) = 0;

  // Whether nobody begins a job, over the daemon's lives; nullopt: the queue goes on.
  virtual std::optional<QueuePause> LoadPause() = 0;
  virtual void SavePause(const std::optional<QueuePause>& pause) = 0;

  // Waits for the disk; others use the store meanwhile. What was changed earlier is then on it, in the order of the
  // changes: a power cut before leaves some moment between.
  virtual void Sync() = 0;

  // What changes in the database, whoever makes the change.
  virtual JobChanges& changes() = 0;
};

// For stores. Throws Error(kFailedPrecondition) unless Transition may do it.
void CheckTransition(const std::string& id, JobState from, JobState to);

}  // namespace diptych
