// What a renderer's queue knows beside its store: who waits, what is in work and how far it is, who may begin what.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/concurrency/cancel_token.h"
#include "common/concurrency/clock.h"
#include "common/error/error.h"
#include "render_node/jobs/host_shares.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/job_inputs.h"
#include "render_node/jobs/queue_pace.h"
#include "render_node/jobs/scheduler.h"

namespace diptych {

struct QueueLimits {
  int64_t waiting = 10'000;            // jobs
  int64_t prompt_bytes = 1024 * 1024;  // each prompt, all its parts together
  int64_t client_waiting = 0;          // jobs of one client; 0: no limit of its own
  int64_t host_jobs = 0;               // unfinished ones of one host, whatever names its clients give; 0: no limit
  int64_t host_bytes = 0;              // of their prompts and uploads; 0: no limit
  int64_t encode_ahead = 2;            // jobs encoded or ready beside the one that is painted; at least 1
  int64_t encode_lanes = 1;            // jobs that workers encode at a time; not more than encode_ahead
};

class QueueFull : public Error {
 public:
  // `limit`: whose that is, "queue", "client" or "host". `retry_ms`: after which it is worth another try.
  QueueFull(const char* limit, const std::string& message, double retry_ms);
  const char* limit() const { return limit_; }
  double retry_ms() const { return retry_ms_; }

 private:
  const char* limit_;
  double retry_ms_;
};

// Who may take which job to encode.
enum class EncodeLane {
  kAny,     // the next job, while fewer than encode_ahead are encoded or ready
  kStored,  // the next job whose conditioning is at hand, when all lanes are taken and none is ready
  // The next job of a client of which none is encoded, when all lanes are taken by long encodes and none is ready: a
  // long prompt holds up its own client alone. The encoder gives both their turns.
  kOther,
};

// A job in the hands of a worker.
struct ClaimedJob {
  Job job;  // state encoding or ready
  CancelToken cancel;
  std::shared_ptr<const JobInputs> inputs;  // set when ready
  EncodeLane lane = EncodeLane::kAny;
};

// What can be foretold of a job that has not ended.
struct JobOutlook {
  std::optional<QueuePlace> place;
  std::optional<double> until_done_ms;  // until its picture is there
};

// All of it at one moment, for operators.
struct QueueCensus {
  std::array<int64_t, kJobStates.size()> jobs{};  // by JobState; none of those that have ended
  std::vector<int64_t> waiting_per_client;        // queued jobs of each client that has any, in no order
  // One job in work, one that is painted if there is one.
  struct AtWork {
    std::string id;
    JobState state = JobState::kQueued;
    int32_t step = 0;  // finished steps
    int32_t steps = 0;
    std::string detail;
  };
  std::optional<AtWork> at_work;
  std::optional<QueuePause> pause;

  int64_t Count(JobState state) const { return jobs[static_cast<size_t>(state)]; }
};

// Plain state, as the scheduler, whose policy it asks: no threads, no store, no files, and the time is that of the
// clock it was given. JobQueue puts a lock around it. Jobs that it does not know are no mistake: they ended meanwhile.
class QueueState {
 public:
  // Both must outlive it; `scheduler` is empty and used by the state alone.
  QueueState(Scheduler& scheduler, const Clock& clock, const QueueLimits& limits)
      : clock_(clock), limits_(limits), scheduler_(scheduler) {}
  QueueState(const QueueState&) = delete;
  QueueState& operator=(const QueueState&) = delete;

  const QueueLimits& limits() const { return limits_; }

  // Jobs that come. A place in the bounded queue is kept for one that is on its way to the disk, until GiveBack. Throws
  // QueueFull.
  void Reserve(const std::string& client, const std::string& host, int64_t bytes);
  void GiveBack(const std::string& client, const std::string& host, int64_t bytes);
  void Enqueue(const QueuedJob& job);
  bool Waits(const std::string& id) const { return scheduler_.Contains(id); }
  std::vector<std::string> NotStored() const { return scheduler_.NotStored(); }
  void MarkStored(const std::string& id) { scheduler_.MarkStored(id); }

  std::optional<QueuePause> pause;  // while it is set nothing begins

  // Jobs in work. The next job that may be begun in this lane is in work from now on, encoding; nothing when none may.
  std::optional<QueuedJob> Begin(EncodeLane lane);
  // Of the encodes in work: after how many ms, at least 1, the next becomes long, which may let kOther begin; nothing
  // when none will.
  std::optional<double> UntilLongEncode() const;
  // One that could not be begun waits as before.
  void PutBack(const QueuedJob& job);
  CancelToken TokenOf(const std::string& id) const;  // of a job in work
  std::vector<CancelToken> Tokens() const;           // of all jobs in work
  // One that was advanced to ready is left to TakeReady. False: it has ended since, or is not in work any more.
  bool HandOver(const std::string& id, std::shared_ptr<const JobInputs> inputs);
  bool MayPaint() const { return !pause && !ready_.empty(); }
  // JobQueue::ClaimToRender; empty when nothing is ready.
  std::vector<ClaimedJob> TakeReady(int64_t most, const std::function<bool(const Job&, const Job&)>& fits);
  void Release(const std::string& id);  // its worker is through with it

  // What is heard of them. Of a job that moved on, as it is now; to queued, it waits again.
  void MovedOn(const Job& job);
  // Of progress within a state: nothing when the job is not in work or has ended, else whether it is time to store it.
  std::optional<bool> Reported(const Job& job);
  // Somebody else than its worker ended it, which the worker is to see by its token: the caller cancels that, without a
  // lock, for who waits for it is called. Nothing when the job is not in work.
  std::optional<CancelToken> Ended(const Job& job);
  // Likewise, but how it ends could not be stored: its worker is to try (WantedEnd).
  std::optional<CancelToken> WantEnd(const Job& job);
  std::optional<Job> WantedEnd(const std::string& id) const;
  void Forget(const std::string& id);  // one that can never be begun

  // Of jobs whose deadline has passed, waiting or in work.
  std::vector<std::string> Overdue() const;
  void ForgetDeadline(const std::string& id) { deadlines_.erase(id); }

  // A job as it is now, if it is in work and fresher here than in the store.
  Job Fresher(Job stored) const;
  // The same for a list, which has the specification with shortened prompts.
  void Freshen(Job& listed);
  std::vector<Job> InWork() const;  // on which work is under way
  bool IsIdle() const { return in_work_.empty(); }

  // queue_outlook.cc. Of a job that is queued, encoding or ready; nullopt for others.
  std::optional<QueuePlace> PlaceOf(const std::string& id) const;
  JobOutlook OutlookOf(const Job& job) const;
  QueueCensus Census() const;
  int64_t waiting() const { return scheduler_.size() + static_cast<int64_t>(ready_.size()); }
  int64_t running() const { return static_cast<int64_t>(in_work_.size() - ready_.size()); }

 private:
  enum class Stage { kEncoding, kReady, kRendering };
  // Jobs that are painted together. The painter's time counts in equal parts for those who are still there.
  struct BatchTime {
    int64_t members = 0;  // still there
    double share_ms = 0;  // what each of them has had until then
    double until_steady_ms = 0;
  };
  struct InWorkJob {
    Job job;  // fresher than the store in step, timings and detail
    CancelToken cancel;
    Stage stage = Stage::kEncoding;
    bool held = true;            // by a worker; only a ready job is not
    int64_t claim = 0;           // its number
    double work = 0;             // PictureWork
    double encode_work = 0;      // of what an encoder is asked for; 0: nothing
    double since_steady_ms = 0;  // in its present state
    // How it ends once its worker sees the token, where that could not be stored at once: a terminal state, with error.
    std::optional<Job> wanted;
    std::shared_ptr<const JobInputs> inputs;  // while it is ready
    double ready_steady_ms = 0;               // since when it is
    double saved_steady_ms = 0;               // when it was last time to store a report
    std::shared_ptr<BatchTime> batch_time;    // while it is painted
  };

  // Throws QueueFull, which says of a paused queue how it goes on.
  [[noreturn]] void Refuse(const char* limit, const std::string& message, double retry_ms) const;
  void CheckShare(const std::string& host, int64_t bytes, double retry_ms) const;
  bool MayEncode(EncodeLane lane) const;
  std::optional<QueuedJob> Next(EncodeLane lane);
  void Note(const Job& job);  // what its progress means for suspects and deadlines
  void Measure(const InWorkJob& in_work, const Job& next);
  void Share(BatchTime& batch_time) const;
  double Leave(InWorkJob& in_work);              // its batch; what it has had of the painter's time, ms
  std::string HeldUp(bool needs_encoder) const;  // what a queued job waits for beside its turn; empty: nothing
  std::optional<double> UntilPainted(const Job& job, const InWorkJob& in_work) const;

  const Clock& clock_;
  const QueueLimits limits_;
  Scheduler& scheduler_;
  int64_t arriving_ = 0;  // places that are kept
  std::map<std::string, int64_t> arriving_of_;
  HostShares shares_;  // of all unfinished jobs, and of those that arrive
  std::map<std::string, InWorkJob> in_work_;
  int64_t encoding_ = 0;                  // of in_work_
  std::map<int64_t, std::string> ready_;  // of in_work_, not held, in the order of their claims
  int64_t claims_ = 0;
  // Waiting or in work, and not yet further than where the daemon ended; while there are any, one job is in work at a
  // time.
  std::set<std::string> suspects_;
  // Steady time, of waiting jobs and jobs in work; fixed when the job comes, whatever is done to the clock afterwards.
  std::unordered_map<std::string, double> deadlines_;
  QueuePace pace_;
};

}  // namespace diptych
