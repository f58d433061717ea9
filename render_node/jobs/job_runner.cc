#include "render_node/jobs/job_runner.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "common/error/error.h"
#include "common/status/status.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/job_parameters.h"

namespace diptych {
namespace {

constexpr std::chrono::milliseconds kPauseAfterStoreFailure{1000};

std::string FirstLine(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// Embeddings of unknown origin do not say how many tokens they are of.
std::optional<PromptFit> FitOf(const ConditioningHeader& header) {
  if (header.token_count == 0) return std::nullopt;
  return PromptFit{header.token_count, header.rows};
}

// Ends a claim of the lane for stored jobs: this one's conditioning is not at hand any more.
struct NotStoredAfterAll {};

// A full or locked disk may be better in a moment; anything else will not.
bool MayPass(ErrorCode code) { return code == ErrorCode::kResourceExhausted || code == ErrorCode::kUnavailable; }

// What the times were when the step ended that the checkpoint holds.
void TakeRenderTimings(std::string_view json, JobTimings& timings) {
  const JobTimings then = TimingsFromJson(json);
  timings.refine_ms = then.refine_ms;
  timings.step_ms = then.step_ms;
}

}  // namespace

JobRunner::JobRunner(JobRunnerParts parts) : parts_(std::move(parts)) {
  JobQueue& queue = parts_.queue;
  const auto start = [this](auto claim, auto stage) {
    threads_.emplace_back([this, claim, stage] { Work(claim, stage); });
  };
  for (int64_t lane = 0; lane < queue.encode_lanes(); ++lane) {
    start([&queue] { return queue.ClaimToEncode(EncodeLane::kAny); }, &JobRunner::Encode);
  }
  start([&queue] { return queue.ClaimToEncode(EncodeLane::kStored); }, &JobRunner::Encode);
  start([&queue] { return queue.ClaimToRender(); }, &JobRunner::Paint);
  finisher_ = std::thread([this] { FinishAll(); });
}

void JobRunner::Stop() {
  parts_.queue.Stop();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  {
    const std::lock_guard lock(painted_mutex_);
    no_more_painted_ = true;
  }
  painted_changed_.notify_all();
  if (finisher_.joinable()) finisher_.join();
}

void JobRunner::Work(const std::function<std::optional<ClaimedJob>()>& claim, void (JobRunner::*stage)(ClaimedJob&)) {
  for (;;) {
    absl::StatusOr<std::optional<ClaimedJob>> claimed = Guard([&] { return claim(); });
    if (!claimed.ok()) {
      PauseAfter(claimed.status());
    } else if (claimed->has_value()) {
      (this->*stage)(**claimed);
    } else {
      return;
    }
  }
}

// From encoding to ready.
void JobRunner::Encode(ClaimedJob& claimed) {
  Job& job = claimed.job;
  try {
    if (parts_.events.state_changed) parts_.events.state_changed(job);
    UploadedConditioning uploaded;
    WithStore(job, claimed.cancel, [&] { uploaded = parts_.store.LoadConditioning(job.id); });
    auto inputs = std::make_shared<JobInputs>();
    const FetchRequests requests = FetchRequestsOf(job.spec, job.id, parts_.renderer.facts());
    inputs->positive = uploaded.positive ? *std::move(uploaded.positive) : Fetch(claimed, requests.positive);
    job.fits.prompt = FitOf(inputs->positive.header);
    if (requests.negative) {
      inputs->negative = uploaded.negative ? std::move(uploaded.negative) : Fetch(claimed, *requests.negative);
      job.fits.negative = FitOf(inputs->negative->header);
    }
    Advance(job, JobState::kReady, claimed.cancel);
    parts_.queue.HandOver(claimed, inputs);
  } catch (const NotStoredAfterAll&) {
    job.timings = {};
    Settle(job, JobState::kQueued);
  } catch (...) {
    Settle(job, OutcomeOfCurrentException(job, claimed.cancel));
  }
}

// From ready to pixels. The renderer does not wait for compression and disk: the next picture begins meanwhile.
void JobRunner::Paint(ClaimedJob& claimed) {
  Job& job = claimed.job;
  try {
    const RenderParameters parameters = RenderParametersOf(job.spec, parts_.renderer.facts());
    Advance(job, JobState::kRendering, claimed.cancel);
    Picture picture = Render(claimed, parameters);
    HandToFinisher({std::move(claimed), parameters, std::move(picture)});
  } catch (...) {
    Settle(job, OutcomeOfCurrentException(job, claimed.cancel));
  }
}

void JobRunner::HandToFinisher(Painted painted) {
  std::unique_lock lock(painted_mutex_);
  painted_changed_.wait(lock, [this] { return !painted_; });
  painted_ = std::move(painted);
  painted_changed_.notify_all();
}

void JobRunner::FinishAll() {
  for (;;) {
    std::optional<Painted> painted;
    {
      std::unique_lock lock(painted_mutex_);
      painted_changed_.wait(lock, [this] { return painted_ || no_more_painted_; });
      if (!painted_) return;
      painted.swap(painted_);
      painted_changed_.notify_all();
    }
    Finish(*painted);
  }
}

// From pixels to a published picture.
void JobRunner::Finish(Painted& painted) {
  ClaimedJob& claimed = painted.claimed;
  Job& job = claimed.job;
  const CancelToken& cancel = claimed.cancel;
  JobState outcome = JobState::kDone;
  try {
    cancel.ThrowIfCancelled();
    const double begin = parts_.clock.SteadyMs();
    const JobInputs& inputs = *claimed.inputs;
    const std::vector<uint8_t> png = parts_.finish({.picture = painted.picture,
                                                    .spec = job.spec,
                                                    .parameters = painted.parameters,
                                                    .renderer = parts_.renderer.facts(),
                                                    .positive = inputs.positive,
                                                    .negative = inputs.negative ? &*inputs.negative : nullptr});
    job.timings.png_ms = parts_.clock.SteadyMs() - begin;
    WithStore(job, cancel, [&] { job.picture = parts_.pictures.Publish(png); });
    job.picture_bytes = static_cast<int64_t>(png.size());
    job.timings.total_ms = static_cast<double>(std::max<int64_t>(0, parts_.clock.UnixMs() - job.accepted_unix_ms));
  } catch (...) {
    outcome = OutcomeOfCurrentException(job, cancel);
  }
  Settle(job, outcome);
}

Conditioning JobRunner::Fetch(ClaimedJob& claimed, const FetchRequest& request) {
  Job& job = claimed.job;
  claimed.cancel.ThrowIfCancelled();
  FetchResult result = parts_.source.Fetch(request, claimed.cancel, [&](const std::string& reason) {
    if (claimed.lane == EncodeLane::kStored) throw NotStoredAfterAll();  // others that are stored want to pass
    job.detail = FirstLine(reason);
    parts_.queue.Report(job);
    if (!searched_.exchange(true)) FindStored();
  });
  searched_ = false;
  job.detail.clear();
  job.timings.encode_ms += result.encode_ms;
  job.timings.transfer_ms += result.transfer_ms;
  return std::move(result.conditioning);
}

// Among the waiting jobs of an earlier life; for those that came since, Submit was told.
void JobRunner::FindStored() {
  for (const std::string& id : parts_.queue.NotStored()) {
    if (parts_.queue.stopping()) return;
    const absl::StatusOr<Job> job = parts_.queue.Get(id);
    if (job.ok() && IsStored(parts_.source, job->spec, parts_.renderer.facts())) parts_.queue.MarkStored(id);
  }
}

Picture JobRunner::Render(ClaimedJob& claimed, const RenderParameters& parameters) {
  Job& job = claimed.job;
  const CancelToken& cancel = claimed.cancel;
  const JobInputs& inputs = *claimed.inputs;
  const std::string determinants =
      CheckpointDeterminants(parameters, parts_.renderer.facts(), inputs, parts_.program_version);
  const std::optional<Checkpoint> checkpoint = LoadCheckpoint(job, determinants);

  RenderHooks hooks;
  hooks.resume = checkpoint ? &checkpoint->latent : nullptr;
  LatentState latest;
  hooks.on_latent = [&](const LatentState& latent) { latest = latent; };
  hooks.on_progress = [&](const RenderProgress& progress) {
    if (parts_.events.progressed) parts_.events.progressed(progress);
    switch (progress.stage) {
      case RenderStage::kRefined:
        job.timings.refine_ms += progress.ms;
        if (parts_.events.planned) parts_.events.planned(job, progress.plan);
        break;
      case RenderStage::kDecoded:
        job.timings.decode_ms += progress.ms;
        break;
      case RenderStage::kStep:
        job.step = progress.step;
        job.sigma = progress.sigma;
        job.timings.step_ms.push_back(progress.ms);
        SaveCheckpoint(job, determinants, latest);
        break;
    }
    if (progress.stage == RenderStage::kStep && progress.step == progress.steps) {
      Advance(job, JobState::kDecoding, cancel);
    } else {
      parts_.queue.Report(job);
    }
  };
  if (parts_.preview) {
    hooks.preview_every = parts_.preview_every;
    hooks.wants_preview = [&] { return parts_.queue.WantsPreviews(job.id); };
    hooks.on_preview = [&](const Picture& preview, int32_t step) {
      // One that cannot be made is missed, and costs no picture.
      Guard([&] { parts_.queue.Report(job.id, step, parts_.preview(preview)); }).IgnoreError();
    };
  }
  if (checkpoint && job.step == parameters.steps) Advance(job, JobState::kDecoding, cancel);  // no step will say so
  return parts_.renderer.Render(inputs.positive, inputs.negative ? &*inputs.negative : nullptr, parameters, hooks,
                                cancel);
}

std::optional<Checkpoint> JobRunner::LoadCheckpoint(Job& job, const std::string& determinants) {
  CheckpointLoad load = parts_.checkpoints.Load(job.id, determinants);
  if (!load.refused.empty() && parts_.events.checkpoint_failed) parts_.events.checkpoint_failed(job, load.refused);
  std::optional<Checkpoint>& checkpoint = load.checkpoint;
  if (!checkpoint) return std::nullopt;
  TakeRenderTimings(checkpoint->timings_json, job.timings);
  job.step = checkpoint->latent.step;
  if (parts_.events.resumed) parts_.events.resumed(job, job.step);
  parts_.queue.Report(job);
  return std::move(checkpoint);
}

// One that cannot be written costs nothing but the work since the last.
void JobRunner::SaveCheckpoint(const Job& job, const std::string& determinants, const LatentState& latent) {
  const absl::Status saved = Guard([&] {
    parts_.checkpoints.Save(job.id, {determinants, latent, TimingsToJson(job.timings)});
  });
  if (!saved.ok() && parts_.events.checkpoint_failed) {
    parts_.events.checkpoint_failed(job, std::string(saved.message()));
  }
}

// Call it inside a catch block only.
JobState JobRunner::OutcomeOfCurrentException(Job& job, const CancelToken& cancel) const {
  const absl::Status status = StatusOfCurrentException();
  job.detail.clear();
  // Whatever failed once the token was set may have failed for that: an encoder that stops together with us, for
  // instance.
  if (cancel.IsCancelled()) {
    if (!parts_.queue.stopping()) return JobState::kCancelled;
    job.step = 0;
    job.timings = {};
    return JobState::kQueued;
  }
  job.error = FirstLine(std::string(status.message()));
  job.error_code = absl::StatusCodeToString(status.code());
  return JobState::kFailed;
}

// Stores how the job ended and lets it go. When that cannot be done the row keeps its state, and the next start makes
// the job wait again.
void JobRunner::Settle(Job& job, JobState outcome) {
  absl::Status stored;
  if (!IsTerminal(job.state)) stored = Guard([&] { Advance(job, outcome, CancelToken()); });
  if (IsTerminal(job.state) && job.state != outcome) {  // somebody else ended it
    if (parts_.events.state_changed) parts_.events.state_changed(job);
  } else if (!stored.ok() && !absl::IsCancelled(stored)) {
    if (parts_.events.store_failed) parts_.events.store_failed(stored);
  }
  if (job.state == JobState::kQueued) return;
  // One that stays is removed at the next start.
  if (IsTerminal(job.state)) Guard([&] { parts_.checkpoints.Remove(job.id); }).IgnoreError();
  parts_.queue.Release(job.id);
  SyncOutcome();
}

// After the watchers know: the row says done only once the picture is on disk, and a power cut that takes the row back
// costs painting the same picture again. A later sync makes good for one that fails.
void JobRunner::SyncOutcome() {
  const absl::Status synced = Guard([this] { parts_.store.Sync(); });
  if (!synced.ok() && parts_.events.store_failed) parts_.events.store_failed(synced);
}

void JobRunner::Advance(Job& job, JobState to, const CancelToken& cancel) {
  WithStore(job, cancel, [&] {
    if (!job.picture.empty()) parts_.pictures.Renew(job.picture);  // its row still comes, however long that takes
    parts_.queue.Advance(job, to);
  });
  if (parts_.events.state_changed) parts_.events.state_changed(job);
}

// Reads or writes what lies on disk, again and again while the disk is full or locked; then the job says what it waits
// for.
void JobRunner::WithStore(Job& job, const CancelToken& cancel, const std::function<void()>& work) {
  for (;;) {
    try {
      work();
      return;
    } catch (const Error& error) {
      if (!MayPass(error.code()) || cancel.IsCancelled() || parts_.queue.stopping()) throw;
      job.detail = FirstLine(error.what());
      parts_.queue.Report(job);
      PauseAfter(ToStatus(error));
      job.detail.clear();
    }
  }
}

void JobRunner::PauseAfter(const absl::Status& failure) {
  if (parts_.events.store_failed) parts_.events.store_failed(failure);
  parts_.queue.WaitForStop(kPauseAfterStoreFailure);
}

}  // namespace diptych
