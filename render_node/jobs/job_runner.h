// The workers: some fetch the conditioning of the next jobs, one paints, one makes files of what was painted.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/concurrency/cancel_token.h"
#include "common/concurrency/clock.h"
#include "common/concurrency/pause.h"
#include "common/conditioning/conditioning.h"
#include "common/image/picture.h"
#include "common/picture/prepare_source.h"
#include "render_node/conditioning/conditioning_source.h"
#include "render_node/jobs/checkpoint_store.h"
#include "render_node/jobs/input_store.h"
#include "render_node/jobs/job.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/job_store.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {

// Pixels and all facts that a receipt may name; valid during the call.
struct FinishRequest {
  const Picture& picture;
  const JobSpec& spec;
  const RenderParameters& parameters;  // complete: what was unset is filled in
  const RendererFacts& renderer;
  const Conditioning& positive;
  const Conditioning* negative;  // null without guidance
  Pause pause = {};              // to be called now and then; what it throws ends the work
};

// Returns the PNG with its receipt. Called on a worker thread; may throw Error.
using PictureFinisher = std::function<std::vector<uint8_t>(const FinishRequest&)>;

// Returns a small picture as JPEG.
using PreviewEncoder = std::function<std::vector<uint8_t>(const Picture&)>;

// For the log and the metrics. Called on worker threads, on several at once; must not throw; may be empty.
struct JobRunnerEvents {
  std::function<void(const Job&)> state_changed;
  std::function<void(const Job&, const std::string& plan)> planned;  // before the first step; RenderProgress says what
  std::function<void(const RenderProgress&)> progressed;             // each stage of painting that has ended
  std::function<void(const Job&, int32_t step)> resumed;             // from a checkpoint after this step
  std::function<void(const Job&, const std::string& why)> checkpoint_failed;  // cannot be written or used; work goes on
  // The worker tries again. `job_id`: whose work it holds up; empty: none's in particular.
  std::function<void(const std::string& job_id, const absl::Status&)> store_failed;
  // The job waits again, for a thread or memory that the system does not give now.
  std::function<void(const Job&, const std::string& why)> short_of;
  // For each job of the batch that is still painted; BatchEvents says what.
  std::function<void(const Job&, size_t together, const absl::Status& why)> parted;
};

// All must outlive the runner.
struct JobRunnerParts {
  JobQueue& queue;
  JobStore& store;
  PictureStore& pictures;
  CheckpointStore& checkpoints;
  InputStore& inputs;
  ConditioningSource& source;
  PictureRenderer& renderer;
  const Clock& clock;
  PictureFinisher finish;
  JobRunnerEvents events = {};
  PreviewEncoder preview = {};                     // empty: no previews
  int32_t preview_every = 1;                       // steps
  std::string program_version = {};                // part of what a checkpoint belongs to
  int64_t batch = 1;                               // jobs that may be painted together
  int64_t max_prompt_tokens = 0;                   // of OperatorLimits; 0: no limit
  std::chrono::milliseconds shortage_pause{1000};  // before a job that the system had nothing for waits again
};

// A job that fails, by whatever exception, fails alone with a code and one line. A full or locked disk costs no job,
// and neither does a renderer whose files were changed (kUnavailable): the worker waits and tries again. While no
// encoder answers, jobs wait in encoding, and those whose conditioning is stored are painted meanwhile. Jobs that are
// ready at the same moment and can be painted together are, without waiting for more of them; each has its own
// progress, checkpoints, outcome and end.
class JobRunner {
 public:
  // Starts the threads.
  explicit JobRunner(JobRunnerParts parts);
  ~JobRunner() { Stop(); }
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  // Stops the queue, hands the jobs in work back to it at their next look at the token, and waits for the threads.
  // Later calls do nothing.
  void Stop();

 private:
  struct Painting;
  template <typename Claimed>
  void Work(const std::function<std::optional<Claimed>()>& claim, void (JobRunner::*stage)(Claimed&));
  void Encode(ClaimedJob& claimed);
  std::optional<std::vector<ClaimedJob>> ClaimToPaint();
  void Paint(std::vector<ClaimedJob>& batch);
  void AwaitRenderer(std::vector<ClaimedJob>& batch);
  // A picture on its way from the painter to the one who makes a PNG of it and stores that.
  struct Painted {
    ClaimedJob claimed;
    RenderParameters parameters;
    Picture picture;
    std::optional<PreparedSource> source_of_turn = {};  // as of Painting: a part is put back into it
  };
  void HandToFinisher(Painted painted);
  void FinishAll();
  void Finish(Painted& painted);
  std::optional<PreparedSource> TimedSource(Job& job, const CancelToken& cancel);
  Conditioning Fetch(ClaimedJob& claimed, const FetchRequest& request);
  void FindStored();
  void Prepare(Painting& painting);
  RenderHooks HooksOf(Painting& painting);
  std::optional<PictureCheckpoint> LoadCheckpoint(Job& job, const std::string& determinants);
  void SaveCheckpoint(const Job& job, const std::string& determinants, const LatentState& latent);
  bool WaitsAgain(Job& job, const CancelToken& cancel);
  JobState OutcomeOfCurrentException(Job& job, const CancelToken& cancel) const;
  void Settle(Job& job, JobState outcome);
  void SyncOutcome(const std::string& job_id);
  void Advance(Job& job, JobState to, const CancelToken& cancel);
  void WithStore(Job& job, const CancelToken& cancel, const std::function<void()>& work);
  void PauseAfter(const std::string& job_id, const absl::Status& failure);

  const JobRunnerParts parts_;
  std::atomic<bool> searched_ = false;  // for stored conditioning, since an encoder last answered
  std::vector<std::thread> threads_;

  std::mutex shortages_mutex_;
  std::map<std::string, int> shortages_;  // by job: how often it has waited for one

  std::mutex painted_mutex_;  // guards the two below
  std::condition_variable painted_changed_;
  std::deque<Painted> painted_;  // no more than a batch: pictures are large
  bool no_more_painted_ = false;
  std::thread finisher_;
};

}  // namespace diptych
