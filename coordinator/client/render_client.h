// Typed calls to a renderer. Every call has a deadline but Watch, which lasts as long as the job.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/credentials.h"
#include "coordinator/client/call_stop.h"
#include "coordinator/client/job.h"
#include "coordinator/client/peer_address.h"

namespace diptych {

struct Submission {
  std::string id;
  int32_t jobs_ahead = 0;
  std::optional<double> wait_ms;  // until its picture is begun, as far as the pictures before tell
  bool is_repeat = false;         // the idempotency key named this job before
};

// Of a refusal for want of room in the queue: how long to wait before another try. nullopt for any other status.
std::optional<std::chrono::milliseconds> RetryDelay(const absl::Status& status);

enum class JobGroup { kAll, kActive, kEnded };

struct JobSelection {
  JobGroup group = JobGroup::kAll;
  std::vector<JobState> states = {};    // empty: all of the group
  std::string client = {};              // empty: all
  std::string text = {};                // part of the prompt; empty: any
  int64_t accepted_from_unix_ms = 0;    // 0: from the beginning
  int64_t accepted_before_unix_ms = 0;  // 0: to the end
  std::string id_part = {};             // beginning or end of the id, in capital letters; an older renderer gives all
  int32_t page = 1000;                  // jobs asked for at a time
};

// Who asks.
struct Caller {
  std::string name = {};  // as in PictureRequest::client; empty: none, and every job is one's own
  bool force = false;     // also for the jobs of others
};

struct PauseOutcome {
  QueuePause pause;
  bool was_paused = false;  // before
};

struct WatchOptions {
  bool want_picture = false;
  const JobView* last_seen = nullptr;  // go on after this report; null: from the present state
  std::function<void(int32_t step, const std::string& jpeg)> on_preview = {};  // empty: none are asked for
  std::function<void()> on_connected = [] {};  // the renderer watches; there may be nothing to report for long
};

struct WatchResult {
  JobView job;      // as last reported; Ended()
  std::string png;  // of a job that is done, when asked for; whole and checked
};

// Thread-safe. Statuses are the service's own (render.proto), and UNAVAILABLE or DEADLINE_EXCEEDED naming the address
// when nobody answers.
class RenderClient {
 public:
  // INVALID_ARGUMENT for a malformed address, FAILED_PRECONDITION for one off this machine without `insecure`. Does not
  // connect yet.
  static absl::StatusOr<std::unique_ptr<RenderClient>> Make(const std::string& address, const Credentials& credentials,
                                                            std::chrono::milliseconds timeout);
  ~RenderClient();

  absl::StatusOr<RendererDescription> Describe() const;

  // Uploads the inputs first that the renderer has not, and the conditioning when the request has some.
  // RESOURCE_EXHAUSTED with a RetryDelay when the queue or this client's share of it is full.
  absl::StatusOr<Submission> Submit(const PictureRequest& request) const;

  absl::StatusOr<JobView> Get(const std::string& id) const;

  // Calls `on_job` on this thread for every job of the selection, newest first, until it says false; asks page by page.
  absl::Status ForEachJob(const JobSelection& selection, const std::function<bool(const JobView&)>& on_job) const;

  // The job as it was when asked to end. FAILED_PRECONDITION for the job of another client without force.
  absl::StatusOr<JobView> Cancel(const std::string& id, const Caller& caller = {}) const;

  // Forgets a job that has ended. Otherwise as Cancel.
  absl::Status Delete(const std::string& id, const Caller& caller = {}) const;

  // Lets the queue rest; the pause that holds, which may be an earlier one.
  absl::StatusOr<PauseOutcome> Pause(const Caller& caller) const;

  // The pause that has ended; nullopt: there was none. FAILED_PRECONDITION for that of another client without force.
  absl::StatusOr<std::optional<QueuePause>> Resume(const Caller& caller) const;

  // Calls `on_job` on this thread for every report, and returns when the job has ended. DATA_LOSS for a damaged
  // picture. `stop` (may be null) ends the call with CANCELLED, not the job.
  absl::StatusOr<WatchResult> Watch(const std::string& id, const WatchOptions& options,
                                    const std::function<void(const JobView&)>& on_job, CallStop* stop) const;

  const std::string& address() const { return peer_.address; }

 private:
  absl::Status UploadMissing(const PictureRequest& request) const;
  absl::Status Upload(const std::string& sha256, const std::string& bytes) const;

  struct Stub;
  RenderClient(PeerAddress peer, std::chrono::milliseconds timeout, std::unique_ptr<Stub> stub);

  const PeerAddress peer_;
  const std::chrono::milliseconds timeout_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace diptych
