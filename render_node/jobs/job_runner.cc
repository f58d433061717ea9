#include "render_node/jobs/job_runner.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "common/conditioning/token_limit.h"
#include "common/error/error.h"
#include "common/error/status.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/job_parameters.h"
#include "render_node/jobs/source_picture.h"

namespace diptych {
namespace {

constexpr std::chrono::milliseconds kPauseAfterStoreFailure{1000};
constexpr std::chrono::milliseconds kPauseWhileUnusable{200};
constexpr double kMostSearchMs = 1000;

std::string FirstLine(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

// The renderer shortens an upload of more rows than it takes. Embeddings of unknown origin do not say how many tokens
// they are of.
std::optional<PromptFit> FitOf(const ConditioningHeader& header, int64_t row_limit) {
  const int64_t rows = std::min(header.rows, row_limit);
  if (header.token_count > 0) return PromptFit{header.token_count, rows};
  return rows < header.rows ? std::optional(PromptFit{header.rows, rows}) : std::nullopt;
}

bool IsOfOneModel(const ConditioningHeader& a, const ConditioningHeader& b) {
  return a.model_fingerprint == b.model_fingerprint && a.tokenizer_fingerprint == b.tokenizer_fingerprint;
}

// Ends a claim of the lane for stored jobs: this one's conditioning is not at hand any more.
struct NotStoredAfterAll {};

// A full or locked disk may be better in a moment; anything else will not.
bool MayPass(ErrorCode code) { return code == ErrorCode::kResourceExhausted || code == ErrorCode::kUnavailable; }

// A thread or memory that the system does not give now, and may later: how many times a job may wait for it, and why.
struct Shortage {
  std::optional<int> patience;  // none: for ever
  std::string reason;
};
constexpr int kPatienceWithMemory = 5;  // a job that is too large for this machine must end at some time

std::optional<Shortage> ShortageOfCurrentException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return Shortage{kPatienceWithMemory, "there is no memory left now"};
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::resource_unavailable_try_again) return std::nullopt;
    return Shortage{std::nullopt, "the system gives no more threads now"};
  } catch (...) {
    return std::nullopt;
  }
}

// What the times were when the step ended that the checkpoint holds.
void TakeRenderTimings(std::string_view json, JobTimings& timings) {
  const JobTimings then = TimingsFromJson(json);
  timings.refine_ms = then.refine_ms;
  timings.step_ms = then.step_ms;
}

}  // namespace

JobRunner::JobRunner(JobRunnerParts parts) : parts_(std::move(parts)) {
  JobQueue& queue = parts_.queue;
  const auto start_encoding = [&](EncodeLane lane) {
    threads_.emplace_back(
        [this, &queue, lane] { Work<ClaimedJob>([&] { return queue.ClaimToEncode(lane); }, &JobRunner::Encode); });
  };
  for (int64_t lane = 0; lane < queue.encode_lanes(); ++lane) start_encoding(EncodeLane::kAny);
  start_encoding(EncodeLane::kStored);
  for (int64_t lane = 0; lane < std::max<int64_t>(2, queue.encode_lanes()); ++lane) {
    start_encoding(EncodeLane::kOther);
  }
  threads_.emplace_back(
      [this] { Work<std::vector<ClaimedJob>>([this] { return ClaimToPaint(); }, &JobRunner::Paint); });
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

template <typename Claimed>
void JobRunner::Work(const std::function<std::optional<Claimed>()>& claim, void (JobRunner::*stage)(Claimed&)) {
  for (;;) {
    absl::StatusOr<std::optional<Claimed>> claimed = Guard([&] { return claim(); });
    if (!claimed.ok()) {
      PauseAfter("", claimed.status());
    } else if (claimed->has_value()) {
      (this->*stage)(**claimed);
    } else {
      return;
    }
  }
}

// What `fetch` returns. The limit on tokens is this renderer's own, and so are the words for it: not "encoder so and
// so: the prompt ...", whichever of the two prompts it is.
template <typename FetchOne>
Conditioning WordingTokenLimit(const std::string& what, int64_t limit, FetchOne&& fetch) {
  try {
    return fetch();
  } catch (const Error& error) {
    if (const auto tokens = TokensRefused(error.what(), limit)) CheckTokenLimit(what, *tokens, limit);
    throw;
  }
}

// From encoding to ready.
void JobRunner::Encode(ClaimedJob& claimed) {
  Job& job = claimed.job;
  try {
    if (parts_.events.state_changed) parts_.events.state_changed(job);
    UploadedConditioning uploaded;
    WithStore(job, claimed.cancel, [&] { uploaded = parts_.queue.LoadUploads(job.id); });
    auto inputs = std::make_shared<JobInputs>();
    FetchRequests requests = FetchRequestsOf(job.spec, job.id, parts_.renderer.facts());
    requests.positive.token_limit = parts_.max_prompt_tokens;
    if (requests.negative) requests.negative->token_limit = parts_.max_prompt_tokens;
    const int64_t row_limit = parts_.renderer.facts().row_limit;
    const bool uploaded_any = uploaded.positive || uploaded.negative;
    const auto fetch_negative = [&] {
      return WordingTokenLimit("negative prompt", requests.negative->token_limit,
                               [&] { return Fetch(claimed, *requests.negative); });
    };
    inputs->positive = uploaded.positive ? *std::move(uploaded.positive)
                                         : WordingTokenLimit("prompt", requests.positive.token_limit,
                                                             [&] { return Fetch(claimed, requests.positive); });
    CheckTokenLimit("prompt", inputs->positive.header.token_count, parts_.max_prompt_tokens);  // stored rows, too
    job.fits.prompt = FitOf(inputs->positive.header, row_limit);
    if (requests.negative) {
      inputs->negative = uploaded.negative ? std::move(uploaded.negative) : fetch_negative();
      // The encoder may have been given another model in between.
      while (!uploaded_any && !IsOfOneModel(inputs->positive.header, inputs->negative->header)) {
        inputs->positive = Fetch(claimed, requests.positive);
        if (!IsOfOneModel(inputs->positive.header, inputs->negative->header)) {
          inputs->negative = fetch_negative();
        }
      }
      CheckTokenLimit("negative prompt", inputs->negative->header.token_count, parts_.max_prompt_tokens);
      job.fits.negative = FitOf(inputs->negative->header, row_limit);
    }
    if (IsSmallSource(job.spec, parts_.inputs)) inputs->source = TimedSource(job, claimed.cancel);
    Advance(job, JobState::kReady, claimed.cancel);
    parts_.queue.HandOver(claimed, inputs);
  } catch (const NotStoredAfterAll&) {
    job.timings = job.timings.WaitAlone();
    Settle(job, JobState::kQueued);
  } catch (...) {
    if (!WaitsAgain(job, claimed.cancel)) Settle(job, OutcomeOfCurrentException(job, claimed.cancel));
  }
}

// A job while it is painted, possibly beside others. Its hooks point here.
struct JobRunner::Painting {
  explicit Painting(ClaimedJob job) : claimed(std::move(job)), inputs(claimed.inputs) {}

  ClaimedJob claimed;                             // until it is handed to the finisher
  const std::shared_ptr<const JobInputs> inputs;  // stays
  RenderParameters parameters;
  std::string determinants;
  std::optional<PictureCheckpoint> checkpoint;   // where it goes on
  std::optional<PreparedSource> source_of_turn;  // a large one, made ready in the painter's turn

  // What it begins as; null: noise.
  const PreparedSource* source() const {
    if (source_of_turn) return &*source_of_turn;
    return inputs->source ? &*inputs->source : nullptr;
  }
  LatentState latest;
  bool ended = false;
};

std::optional<std::vector<ClaimedJob>> JobRunner::ClaimToPaint() {
  const RendererFacts& facts = parts_.renderer.facts();
  std::vector<ClaimedJob> batch = parts_.queue.ClaimToRender(parts_.batch, [&](const Job& first, const Job& other) {
    return CanPaintTogether(RenderParametersOf(first.spec, facts), RenderParametersOf(other.spec, facts));
  });
  if (batch.empty()) return std::nullopt;
  return batch;
}

// While the renderer cannot be used, jobs say what they wait for; those that are cancelled leave `batch`.
void JobRunner::AwaitRenderer(std::vector<ClaimedJob>& batch) {
  for (;;) {
    const absl::Status usable = Guard([&] { parts_.renderer.ThrowIfChanged(); });
    if (!absl::IsUnavailable(usable)) break;
    std::erase_if(batch, [&](ClaimedJob& claimed) {
      Job& job = claimed.job;
      if (!claimed.cancel.IsCancelled()) {
        if (const std::string why = FirstLine(std::string(usable.message())); job.detail != why) {
          job.detail = why;
          parts_.queue.Report(job);
        }
        return false;
      }
      try {
        claimed.cancel.ThrowIfCancelled();
      } catch (...) {
        Settle(job, OutcomeOfCurrentException(job, claimed.cancel));
      }
      return true;
    });
    if (batch.empty()) return;
    parts_.queue.WaitForStop(kPauseWhileUnusable);
  }
  for (ClaimedJob& claimed : batch) claimed.job.detail.clear();
}

// From ready to pixels. The renderer does not wait for compression and disk: the next picture begins meanwhile.
void JobRunner::Paint(std::vector<ClaimedJob>& batch) {
  AwaitRenderer(batch);
  std::vector<std::unique_ptr<Painting>> paintings;
  std::vector<RenderRequest> members;
  for (ClaimedJob& claimed : batch) {
    auto painting = std::make_unique<Painting>(std::move(claimed));
    const ClaimedJob& own = painting->claimed;
    try {
      Prepare(*painting);
      const JobInputs& inputs = *painting->inputs;
      const PreparedSource* const source = painting->source();
      members.push_back({.positive = inputs.positive,
                         .negative = inputs.negative ? &*inputs.negative : nullptr,
                         .parameters = painting->parameters,
                         .source = source ? &source->picture : nullptr,
                         .mask = source && source->mask ? &*source->mask : nullptr,
                         .hooks = HooksOf(*painting),
                         .cancel = own.cancel});
    } catch (...) {
      if (!WaitsAgain(painting->claimed.job, own.cancel)) {
        Settle(painting->claimed.job, OutcomeOfCurrentException(painting->claimed.job, own.cancel));
      }
      continue;
    }
    paintings.push_back(std::move(painting));
  }
  if (members.empty()) return;

  const auto end = [&](size_t i, PictureOutcome outcome) {
    Painting& painting = *paintings[i];
    painting.ended = true;
    try {
      Picture picture = outcome.Take();
      HandToFinisher(
          {std::move(painting.claimed), painting.parameters, std::move(picture), std::move(painting.source_of_turn)});
    } catch (const Error& error) {
      Job& job = painting.claimed.job;
      if (error.code() != ErrorCode::kUnavailable || painting.claimed.cancel.IsCancelled()) {
        Settle(job, OutcomeOfCurrentException(job, painting.claimed.cancel));
        return;
      }
      // The renderer's files were changed meanwhile: again from the last step that is not in doubt, when they are
      // right.
      job.step = 0;
      job.timings = job.timings.WaitAlone();
      job.detail = FirstLine(error.what());
      Settle(job, JobState::kQueued);
    } catch (...) {
      if (WaitsAgain(painting.claimed.job, painting.claimed.cancel)) return;
      Settle(painting.claimed.job, OutcomeOfCurrentException(painting.claimed.job, painting.claimed.cancel));
    }
  };
  const auto parted = [&](size_t together, const std::exception_ptr& why) {
    if (!parts_.events.parted) return;
    const absl::Status status = Guard([&] { std::rethrow_exception(why); });
    for (const std::unique_ptr<Painting>& painting : paintings) {
      if (!painting->ended) parts_.events.parted(painting->claimed.job, together, status);
    }
  };
  try {
    parts_.renderer.RenderTogether(members, {.ended = end, .parted = parted});
  } catch (...) {
    for (size_t i = 0; i < paintings.size(); ++i) {
      if (!paintings[i]->ended) end(i, {{}, std::current_exception()});
    }
  }
}

void JobRunner::HandToFinisher(Painted painted) {
  std::unique_lock lock(painted_mutex_);
  painted_changed_.wait(lock, [this] { return static_cast<int64_t>(painted_.size()) < parts_.batch; });
  painted_.push_back(std::move(painted));
  painted_changed_.notify_all();
}

void JobRunner::FinishAll() {
  for (;;) {
    std::optional<Painted> painted;
    {
      std::unique_lock lock(painted_mutex_);
      painted_changed_.wait(lock, [this] { return !painted_.empty() || no_more_painted_; });
      if (painted_.empty()) return;
      painted = std::move(painted_.front());
      painted_.pop_front();
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
    if (const auto& source = painted.source_of_turn ? painted.source_of_turn : inputs.source) {
      painted.picture = PasteBack(*source, std::move(painted.picture), LeaveIfCancelled(cancel));
    }
    const std::vector<uint8_t> png = parts_.finish({.picture = painted.picture,
                                                    .spec = job.spec,
                                                    .parameters = painted.parameters,
                                                    .renderer = parts_.renderer.facts(),
                                                    .positive = inputs.positive,
                                                    .negative = inputs.negative ? &*inputs.negative : nullptr,
                                                    .pause = LeaveIfCancelled(cancel)});
    job.timings.png_ms = parts_.clock.SteadyMs() - begin;
    WithStore(job, cancel, [&] { job.picture = parts_.pictures.Publish(png); });
    job.picture_bytes = static_cast<int64_t>(png.size());
    job.timings.total_ms = static_cast<double>(std::max<int64_t>(0, parts_.clock.UnixMs() - job.accepted_unix_ms));
  } catch (...) {
    if (WaitsAgain(job, cancel)) return;
    outcome = OutcomeOfCurrentException(job, cancel);
  }
  Settle(job, outcome);
}

// What the job's picture begins as. Its time counts to what comes before the steps.
std::optional<PreparedSource> JobRunner::TimedSource(Job& job, const CancelToken& cancel) {
  if (job.spec.source.empty()) return std::nullopt;
  const double begin = parts_.clock.SteadyMs();
  std::optional<PreparedSource> source = LoadSource(job.spec, parts_.inputs, LeaveIfCancelled(cancel));
  job.timings.refine_ms += parts_.clock.SteadyMs() - begin;
  return source;
}

Conditioning JobRunner::Fetch(ClaimedJob& claimed, const FetchRequest& request) {
  Job& job = claimed.job;
  claimed.cancel.ThrowIfCancelled();
  FetchResult result = parts_.source.Fetch(request, claimed.cancel, [&](const std::string& reason) {
    const bool waits = !reason.empty();
    if (waits && claimed.lane == EncodeLane::kStored) throw NotStoredAfterAll();  // others that are stored want to pass
    job.detail = FirstLine(reason);
    parts_.queue.Report(job);
    if (waits && !searched_.exchange(true)) FindStored();
  });
  searched_ = false;
  job.detail.clear();
  job.timings.encode_ms += result.encode_ms;
  job.timings.transfer_ms += result.transfer_ms;
  return std::move(result.conditioning);
}

// Among the waiting jobs of an earlier life; for those that came since, Submit was told.
void JobRunner::FindStored() {
  const double end = parts_.clock.SteadyMs() + kMostSearchMs;  // of many long prompts; the others wait as the rest does
  for (const std::string& id : parts_.queue.NotStored()) {
    if (parts_.queue.stopping() || parts_.clock.SteadyMs() >= end) return;
    const absl::StatusOr<Job> job = parts_.queue.Get(id);
    if (job.ok() && IsStored(parts_.source, job->spec, parts_.renderer.facts())) parts_.queue.MarkStored(id);
  }
}

// Makes a ready job one that is rendered, and looks where it goes on.
void JobRunner::Prepare(Painting& painting) {
  Job& job = painting.claimed.job;
  const CancelToken& cancel = painting.claimed.cancel;
  const RendererFacts& facts = parts_.renderer.facts();
  painting.parameters = RenderParametersOf(job.spec, facts);
  Advance(job, JobState::kRendering, cancel);
  painting.determinants =
      CheckpointDeterminants(job.spec, painting.parameters, facts, *painting.inputs, parts_.program_version);
  if (!painting.source()) painting.source_of_turn = TimedSource(job, cancel);
  painting.checkpoint = LoadCheckpoint(job, painting.determinants);
}

RenderHooks JobRunner::HooksOf(Painting& painting) {
  RenderHooks hooks;
  hooks.resume = painting.checkpoint ? &painting.checkpoint->latent : nullptr;
  hooks.on_latent = [&painting](const LatentState& latent) { painting.latest = latent; };
  hooks.on_progress = [this, &painting](const RenderProgress& progress) {
    Job& job = painting.claimed.job;
    if (parts_.events.progressed) parts_.events.progressed(progress);
    switch (progress.stage) {
      case RenderStage::kRefined:
        job.timings.refine_ms += progress.ms;
        if (parts_.events.planned) parts_.events.planned(job, progress.plan);
        break;
      case RenderStage::kTile:
        job.tiles_done = progress.tile;
        job.tiles = progress.tiles;
        break;
      case RenderStage::kDecoded:
        job.timings.decode_ms += progress.ms;
        break;
      case RenderStage::kStep:
        job.step = progress.step;
        job.sigma = progress.sigma;
        job.timings.step_ms.push_back(progress.ms);
        SaveCheckpoint(job, painting.determinants, painting.latest);
        break;
    }
    const bool at_work = progress.stage == RenderStage::kRefined || progress.stage == RenderStage::kStep;
    if (at_work && progress.step == progress.steps) {  // perhaps before any step
      Advance(job, JobState::kDecoding, painting.claimed.cancel);
    } else {
      parts_.queue.Report(job);
    }
  };
  if (parts_.preview) {
    hooks.preview_every = parts_.preview_every;
    hooks.wants_preview = [this, &painting] { return parts_.queue.WantsPreviews(painting.claimed.job.id); };
    hooks.on_preview = [this, &painting](const Picture& preview, int32_t step) {
      // One that cannot be made is missed, and costs no picture.
      Guard([&] { parts_.queue.Report(painting.claimed.job.id, step, parts_.preview(preview)); }).IgnoreError();
    };
  }
  return hooks;
}

std::optional<PictureCheckpoint> JobRunner::LoadCheckpoint(Job& job, const std::string& determinants) {
  CheckpointLoad load = parts_.checkpoints.Load(job.id, determinants);
  if (!load.refused.empty() && parts_.events.checkpoint_failed) parts_.events.checkpoint_failed(job, load.refused);
  std::optional<PictureCheckpoint>& checkpoint = load.checkpoint;
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

// Inside a catch block only: for want of a thread or of memory the job waits again, from its last checkpoint, as it
// does for a full disk. False: that was not the matter, or it has waited often enough.
bool JobRunner::WaitsAgain(Job& job, const CancelToken& cancel) {
  const std::optional<Shortage> shortage = ShortageOfCurrentException();
  if (!shortage || cancel.IsCancelled() || parts_.queue.stopping()) return false;
  if (shortage->patience) {
    const std::lock_guard lock(shortages_mutex_);
    if (++shortages_[job.id] > *shortage->patience) {
      shortages_.erase(job.id);
      return false;
    }
  }
  job.detail = shortage->reason;
  parts_.queue.Report(job);
  if (parts_.events.short_of) parts_.events.short_of(job, shortage->reason);
  parts_.queue.WaitForStop(parts_.shortage_pause);
  job.step = 0;
  job.timings = job.timings.WaitAlone();
  Settle(job, JobState::kQueued);
  return true;
}

// Call it inside a catch block only.
JobState JobRunner::OutcomeOfCurrentException(Job& job, const CancelToken& cancel) const {
  const absl::Status status = StatusOfCurrentException();
  job.detail.clear();
  // Whatever failed once the token was set may have failed for that: an encoder that stops together with us, for
  // instance.
  if (cancel.IsCancelled()) {
    if (!parts_.queue.stopping()) return parts_.queue.EndOfCancelled(job);
    job.step = 0;
    job.timings = job.timings.WaitAlone();
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
    if (parts_.events.store_failed) parts_.events.store_failed(job.id, stored);
  }
  if (job.state == JobState::kQueued) return;
  {
    const std::lock_guard lock(shortages_mutex_);
    shortages_.erase(job.id);
  }
  // One that stays is removed at the next start.
  if (IsTerminal(job.state)) Guard([&] { parts_.checkpoints.Remove(job.id); }).IgnoreError();
  parts_.queue.Release(job.id);
  SyncOutcome(job.id);
}

// After the watchers know: the row says done only once the picture is on disk, and a power cut that takes the row back
// costs painting the same picture again. A later sync makes good for one that fails.
void JobRunner::SyncOutcome(const std::string& job_id) {
  const absl::Status synced = Guard([this] { parts_.store.Sync(); });
  if (!synced.ok() && parts_.events.store_failed) parts_.events.store_failed(job_id, synced);
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
      PauseAfter(job.id, ToStatus(error));
      job.detail.clear();
    }
  }
}

void JobRunner::PauseAfter(const std::string& job_id, const absl::Status& failure) {
  if (parts_.events.store_failed) parts_.events.store_failed(job_id, failure);
  parts_.queue.WaitForStop(kPauseAfterStoreFailure);
}

}  // namespace diptych
