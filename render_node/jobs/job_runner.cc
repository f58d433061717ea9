#include "render_node/jobs/job_runner.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "common/error/error.h"
#include "common/status/status.h"
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

// A full or locked disk may be better in a moment; anything else will not.
bool MayPass(ErrorCode code) { return code == ErrorCode::kResourceExhausted || code == ErrorCode::kUnavailable; }

}  // namespace

JobRunner::JobRunner(JobRunnerParts parts) : parts_(std::move(parts)), thread_([this] { Work(); }) {}

void JobRunner::Stop() {
  parts_.queue.Stop();
  if (thread_.joinable()) thread_.join();
}

void JobRunner::Work() {
  for (;;) {
    absl::StatusOr<std::optional<ClaimedJob>> claimed = Guard([this] { return parts_.queue.Claim(); });
    if (!claimed.ok()) {
      PauseAfter(claimed.status());
    } else if (claimed->has_value()) {
      RunJob(**std::move(claimed));
    } else {
      return;
    }
  }
}

void JobRunner::RunJob(ClaimedJob claimed) {
  Job& job = claimed.job;
  JobState outcome = JobState::kDone;
  try {
    if (parts_.events.state_changed) parts_.events.state_changed(job);
    Paint(job, claimed.cancel);
  } catch (...) {
    outcome = OutcomeOfCurrentException(job, claimed.cancel);
  }
  Settle(job, outcome);
  if (job.state == JobState::kQueued) return;
  parts_.queue.Release(job.id);
  SyncOutcome();
}

// From encoding to a published picture; the job is in decoding then.
void JobRunner::Paint(Job& job, const CancelToken& cancel) {
  const Inputs inputs = Obtain(job, cancel);
  Advance(job, JobState::kReady, cancel);

  const RenderParameters parameters = RenderParametersOf(job.spec, parts_.renderer.facts());
  Advance(job, JobState::kRendering, cancel);
  const Picture picture = Render(job, inputs, parameters, cancel);

  cancel.ThrowIfCancelled();
  const double begin = parts_.clock.SteadyMs();
  const std::vector<uint8_t> png = parts_.finish({.picture = picture,
                                                  .spec = job.spec,
                                                  .parameters = parameters,
                                                  .renderer = parts_.renderer.facts(),
                                                  .positive = inputs.positive,
                                                  .negative = inputs.negative ? &*inputs.negative : nullptr});
  job.timings.png_ms = parts_.clock.SteadyMs() - begin;
  WithStore(job, cancel, [&] { parts_.pictures.Publish(job.id, png); });
  job.timings.total_ms = static_cast<double>(std::max<int64_t>(0, parts_.clock.UnixMs() - job.accepted_unix_ms));
}

JobRunner::Inputs JobRunner::Obtain(Job& job, const CancelToken& cancel) {
  UploadedConditioning uploaded;
  WithStore(job, cancel, [&] { uploaded = parts_.store.LoadConditioning(job.id); });
  Inputs inputs;
  inputs.positive =
      uploaded.positive ? *std::move(uploaded.positive) : Fetch(job, job.spec.prompt.value_or(PromptParts{}), cancel);
  job.fits.prompt = FitOf(inputs.positive.header);
  if (job.spec.guidance_scale > 0) {
    inputs.negative = uploaded.negative ? std::move(uploaded.negative)
                                        : Fetch(job, job.spec.negative.value_or(PromptParts{}), cancel);
    job.fits.negative = FitOf(inputs.negative->header);
  }
  return inputs;
}

Conditioning JobRunner::Fetch(Job& job, const PromptParts& prompt, const CancelToken& cancel) {
  cancel.ThrowIfCancelled();
  FetchRequest request;
  request.prompt = prompt;
  request.layer = job.spec.layer.value_or(kDefaultLayer);
  request.long_prompt_mode = job.spec.long_prompt_mode;
  request.row_limit = parts_.renderer.facts().row_limit;
  request.job_id = job.id;
  FetchResult result = parts_.source.Fetch(request, cancel, [&](const std::string& reason) {
    job.detail = FirstLine(reason);
    parts_.queue.Report(job);
  });
  job.detail.clear();
  job.timings.encode_ms += result.encode_ms;
  job.timings.transfer_ms += result.transfer_ms;
  return std::move(result.conditioning);
}

Picture JobRunner::Render(Job& job, const Inputs& inputs, const RenderParameters& parameters,
                          const CancelToken& cancel) {
  RenderHooks hooks;
  hooks.on_progress = [&](const RenderProgress& progress) {
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
        job.timings.step_ms.push_back(progress.ms);
        break;
    }
    if (progress.stage == RenderStage::kStep && progress.step == progress.steps) {
      Advance(job, JobState::kDecoding, cancel);
    } else {
      parts_.queue.Report(job);
    }
  };
  return parts_.renderer.Render(inputs.positive, inputs.negative ? &*inputs.negative : nullptr, parameters, hooks,
                                cancel);
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

// Stores how the job ended. When that cannot be done the row keeps its state, and the next start makes the job wait
// again.
void JobRunner::Settle(Job& job, JobState outcome) {
  const absl::Status stored = Guard([&] { Advance(job, outcome, CancelToken()); });
  if (absl::IsCancelled(stored)) {  // its row says so already
    job.state = JobState::kCancelled;
    if (parts_.events.state_changed) parts_.events.state_changed(job);
    if (outcome == JobState::kDone) Guard([&] { parts_.pictures.Remove(job.id); }).IgnoreError();
  } else if (!stored.ok() && parts_.events.store_failed) {
    parts_.events.store_failed(stored);
  }
}

// After the watchers know: the row says done only once the picture is on disk, and a power cut that takes the row back
// costs painting the same picture again. A later sync makes good for one that fails.
void JobRunner::SyncOutcome() {
  const absl::Status synced = Guard([this] { parts_.store.Sync(); });
  if (!synced.ok() && parts_.events.store_failed) parts_.events.store_failed(synced);
}

void JobRunner::Advance(Job& job, JobState to, const CancelToken& cancel) {
  WithStore(job, cancel, [&] { parts_.queue.Advance(job, to); });
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
