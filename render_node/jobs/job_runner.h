// The worker: takes one job after another from the queue and makes its picture.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/concurrency/cancel_token.h"
#include "common/concurrency/clock.h"
#include "common/conditioning/conditioning.h"
#include "common/image/picture.h"
#include "render_node/conditioning/conditioning_source.h"
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
};

// Returns the PNG with its receipt. Called on the worker thread; may throw Error.
using PictureFinisher = std::function<std::vector<uint8_t>(const FinishRequest&)>;

// For the log. Called on the worker thread; must not throw; may be empty.
struct JobRunnerEvents {
  std::function<void(const Job&)> state_changed;
  std::function<void(const Job&, const std::string& plan)> planned;  // before the first step; RenderProgress says what
  std::function<void(const absl::Status&)> store_failed;             // the worker tries again
};

// All must outlive the runner.
struct JobRunnerParts {
  JobQueue& queue;
  JobStore& store;
  PictureStore& pictures;
  ConditioningSource& source;
  PictureRenderer& renderer;
  const Clock& clock;
  PictureFinisher finish;
  JobRunnerEvents events;
};

// A job that fails, by whatever exception, fails alone with a code and one line. A full or locked disk costs no job:
// the worker waits and tries again.
class JobRunner {
 public:
  // Starts the thread.
  explicit JobRunner(JobRunnerParts parts);
  ~JobRunner() { Stop(); }
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  // Stops the queue, hands the running job back to it at its next look at the token, and waits for the thread. Later
  // calls do nothing.
  void Stop();

 private:
  struct Inputs {
    Conditioning positive;
    std::optional<Conditioning> negative;  // set when guidance is on
  };

  void Work();
  void RunJob(ClaimedJob claimed);
  void Paint(Job& job, const CancelToken& cancel);
  Inputs Obtain(Job& job, const CancelToken& cancel);
  Conditioning Fetch(Job& job, const PromptParts& prompt, const CancelToken& cancel);
  Picture Render(Job& job, const Inputs& inputs, const RenderParameters& parameters, const CancelToken& cancel);
  JobState OutcomeOfCurrentException(Job& job, const CancelToken& cancel) const;
  void Settle(Job& job, JobState outcome);
  void SyncOutcome();
  void Advance(Job& job, JobState to, const CancelToken& cancel);
  void WithStore(Job& job, const CancelToken& cancel, const std::function<void()>& work);
  void PauseAfter(const absl::Status& failure);

  const JobRunnerParts parts_;
  std::thread thread_;
};

}  // namespace diptych
