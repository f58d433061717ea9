#include "render_node/service/render_daemon.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/concurrency/cancellable_sleep.h"
#include "common/concurrency/clock.h"
#include "common/daemon/daemon_stop.h"
#include "common/daemon/descriptors.h"
#include "common/daemon/model_watch.h"
#include "common/daemon/service_manager.h"
#include "common/daemon/sign_of_life.h"
#include "common/daemon/start_anew.h"
#include "common/error/status.h"
#include "common/image/jpeg.h"
#include "common/metrics/metrics_endpoint.h"
#include "common/net/server_runner.h"
#include "common/version/version.h"
#include "render_node/conditioning/caching_source.h"
#include "render_node/conditioning/conditioning_store.h"
#include "render_node/conditioning/encoder_pool.h"
#include "render_node/jobs/checkpoint_store.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/job_runner.h"
#include "render_node/jobs/picture_store.h"
#include "render_node/jobs/recovery.h"
#include "render_node/jobs/scheduler.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "render_node/jobs/state_folder.h"
#include "render_node/service/housekeeper.h"
#include "render_node/service/receipt_finisher.h"
#include "render_node/service/render_metrics.h"
#include "render_node/service/render_service.h"
#include "render_node/service/status_line.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kCallGrace{1000};  // for calls under way when the daemon stops
constexpr int kPreviewQuality = 80;       // of 100

// For a daemon without encoders: a job that needs one waits until the daemon is started with one, as it does where none
// answers.
class NoSource final : public ConditioningSource {
 public:
  explicit NoSource(milliseconds patience) : patience_(patience) {}

  FetchResult Fetch(const FetchRequest&, const CancelToken& cancel,
                    const std::function<void(const std::string&)>& on_waiting) override {
    constexpr auto kWhy = "this render daemon has no encoder (--encoder HOST:PORT) and paints uploaded embeddings only";
    if (on_waiting) on_waiting(kWhy);
    const bool for_ever = patience_ <= milliseconds(0);
    while (SleepUnlessCancelled(for_ever ? std::chrono::hours(1) : patience_, cancel)) {
      if (!for_ever) throw Error(ErrorCode::kUnavailable, kWhy);
    }
    throw Error(ErrorCode::kCancelled, "cancelled");
  }

 private:
  const milliseconds patience_;  // 0 or less: as long as it takes
};

// Throws Error(kFailedPrecondition) when all encoders are of another model; one that does not answer may come later,
// and a wrong one among others is left out.
void CheckEncoders(const std::vector<EncoderPool::Report>& encoders, const RendererFacts& facts, const Logger& log) {
  const auto is_wrong = [&](const EncoderPool::Report& encoder) {
    return encoder.reachable && encoder.width != facts.cap_feat_dim;
  };
  if (std::all_of(encoders.begin(), encoders.end(), is_wrong)) {
    throw Error(ErrorCode::kFailedPrecondition,
                absl::StrCat("encoder ", encoders[0].address, " gives rows of ", encoders[0].width,
                             " values, this DiT takes rows of ", facts.cap_feat_dim, " (cap_feat_dim)"));
  }
  for (const EncoderPool::Report& encoder : encoders) {
    if (encoder.refused) {
      log.Warn(absl::StrCat("encoder ", encoder.address, " is refused: ", encoder.error));
    } else if (!encoder.reachable) {
      log.Warn(absl::StrCat("encoder ", encoder.address, " does not answer yet: ", encoder.error));
    }
  }
}

std::vector<uint8_t> EncodePreview(const Picture& preview) { return EncodeJpeg(preview, kPreviewQuality); }

std::vector<v1::EncoderStatus> ToStatuses(const std::vector<EncoderPool::Report>& reports) {
  std::vector<v1::EncoderStatus> statuses;
  for (const EncoderPool::Report& report : reports) {
    v1::EncoderStatus& status = statuses.emplace_back();
    status.set_address(report.address);
    status.set_reachable(report.reachable && !report.refused);
    status.set_error(report.refused ? absl::StrCat("refused: ", report.error) : report.error);
    status.set_model_fingerprint(report.model_fingerprint);
    status.set_width(report.width);
    status.set_state(std::string(EncoderStateName(report.state)));
    status.set_in_flight(report.in_flight);
  }
  return statuses;
}

v1::ConditioningStoreStatus ToStatus(const ConditioningStore::Stats& stats) {
  v1::ConditioningStoreStatus status;
  status.set_memory_hits(stats.memory_hits);
  status.set_disk_hits(stats.disk_hits);
  status.set_misses(stats.misses);
  status.set_damaged(stats.damaged);
  status.set_disk_failures(stats.disk_failures);
  status.set_last_failure(stats.last_failure);
  status.set_memory_bytes(stats.memory_bytes);
  status.set_disk_bytes(stats.disk_bytes);
  status.set_entries(stats.entries);
  return status;
}

v1::StateFolderStatus ToStatus(const StateFolder::Health& health) {
  v1::StateFolderStatus status;
  status.set_free_bytes(health.free_bytes);
  status.set_problem(health.problem);
  return status;
}

// While it is in work.
void LogState(const Logger& log, const Job& job) {
  const Logger line = log.ForJob(job.id);
  switch (job.state) {
    case JobState::kDone:
    case JobState::kFailed:
    case JobState::kCancelled:
      return;  // LogEnd says it, also of a job that never was in work
    case JobState::kRendering:
      line.Info(absl::StrCat("rendering, attempt ", job.attempt));
      return;
    default:
      line.Info(std::string(JobStateName(job.state)));
  }
}

void LogEnd(const Logger& log, const Job& job) {
  const Logger line = log.ForJob(job.id);
  if (job.state == JobState::kDone) {
    line.Info(absl::StrFormat("done %.0f ms after it was accepted", job.timings.total_ms));
  } else if (job.state == JobState::kFailed) {
    line.Warn(absl::StrCat("failed: ", job.error_code, ": ", job.error));
  } else {
    line.Info(job.step > 0 ? absl::StrCat("cancelled after step ", job.step, " of ", job.spec.Evaluations())
                           : "cancelled");
  }
}

JobRunnerEvents LoggedAndCounted(const Logger& log, RenderMetrics& metrics) {
  return {
      .state_changed = [log](const Job& job) { LogState(log, job); },
      .planned = [log](const Job& job, const std::string& plan) { log.ForJob(job.id).Info(plan); },
      .progressed = [&metrics](const RenderProgress& progress) { metrics.Progressed(progress); },
      .resumed =
          [log](const Job& job, int32_t step) {
            log.ForJob(job.id).Info(absl::StrCat("goes on after step ", step, " of ", job.spec.Evaluations()));
          },
      .checkpoint_failed =
          [log](const Job& job, const std::string& why) { log.ForJob(job.id).Warn(absl::StrCat("checkpoint: ", why)); },
      .store_failed =
          [log](const std::string& job_id, const absl::Status& status) {
            const Logger line = job_id.empty() ? log : log.ForJob(job_id);
            line.Error(absl::StrCat("the job store fails: ", status.message()));
          },
      .short_of =
          [log](const Job& job, const std::string& why) {
            log.ForJob(job.id).Warn(absl::StrCat(why, "; it waits and is begun again"));
          },
      .parted =
          [log](const Job& job, size_t together, const absl::Status& why) {
            log.ForJob(job.id).Warn(absl::StrCat("cannot be painted together with all of its batch; goes on at most ",
                                                 together, " at a time: ", why.message()));
          }};
}

// The jobs in work have been asked to end and wait again when they do. One that is in the middle of a long step is left
// to the next start, which lets it go on from the step before. `ended`: how the daemon ends.
void AwaitWorkers(JobQueue& queue, milliseconds patience, const absl::Status& ended, const Logger& log) {
  if (queue.AwaitWorkers(patience)) return;
  log.Warn("stopped in the middle of a step; after the next start its job goes on from the step before");
  if (const absl::Status handed_back = Guard([&] { queue.HandBackAll(); }); !handed_back.ok()) {
    log.Error(absl::StrCat("the job store fails: ", handed_back.message()));
  }
  StartAnewIfWished(ended);
  _exit(ended.ok() ? 0 : 1);
}

// May throw.
absl::Status Run(const RenderDaemonConfig& config, const Logger& log, const LoadRenderer& load) {
  DaemonStop stop(log);
  const SystemClock clock;
  const StateFolder folder(config.state_dir);
  SqliteJobStore store(folder, SystemRandom());
  PictureStore pictures(folder.pictures());
  ConditioningFiles uploads(folder.conditioning());
  InputStore inputs(folder.inputs(), config.inputs);
  CheckpointStore checkpoints(folder.checkpoints());
  RenderService service(log);
  const absl::StatusOr<std::unique_ptr<ServerRunner>> server =
      ServerRunner::Start(config.listen, {{v1::Renderer::service_full_name(), &service}},
                          {.connections = WithinDescriptorLimit(config.connections, log),
                           .connections_hint = " (render.connections_per_host, render.connections)",
                           .credentials = config.credentials,
                           .warn = [&](const std::string& text) { log.Warn(text); }});
  if (!server.ok()) return server.status();
  std::unique_ptr<MetricsEndpoint> endpoint;
  if (config.metrics_listen) {
    absl::StatusOr<std::unique_ptr<MetricsEndpoint>> started = MetricsEndpoint::Start(*config.metrics_listen);
    if (!started.ok()) return started.status();
    endpoint = *std::move(started);
  }
  AnnounceAddresses((*server)->addresses());
  if (!store.warning().empty()) log.Error(store.warning());
  const auto warn = [&](const std::string& text) {
    if (!text.empty()) log.Warn(text);
  };
  for (const std::string& warning : folder.warnings()) log.Warn(warning);
  warn(PlaintextWarning(config.listen, config.credentials, "listening on"));
  if (endpoint) warn(PlaintextWarning(*config.metrics_listen, "listening for metrics on"));
  for (const Address& encoder : config.encoders) {
    warn(PlaintextWarning(encoder, config.credentials, "connecting to the encoder"));
  }
  if (!config.admin_names.empty() && (*server)->names() == nullptr) {
    warn("render.admin_names has no effect: without --tls-ca clients show no certificates");
  }
  warn(config.use_custom_scheduler ? "use_custom_scheduler has no effect: the shift is always honoured" : "");

  log.Debug(absl::StrCat("loading the transformer from ", config.renderer.transformer_path, ", the VAE from ",
                         config.renderer.vae_path));
  TellServiceManager("STATUS=loading the model");
  const double load_start = clock.SteadyMs();
  const std::unique_ptr<PictureRenderer> renderer = load(config.renderer);
  stop.Loaded();
  const double load_ms = clock.SteadyMs() - load_start;
  RendererFacts facts = renderer->facts();
  for (const std::string& note : facts.notes) log.Info(note);
  for (const std::string& warning : facts.warnings) log.Warn(warning);
  if (config.default_shift) {
    facts.default_shift = *config.default_shift;
    facts.dynamic_shift.reset();
  }

  ConditioningStore conditioning({.folder = folder.conditioning_store(),
                                  .memory_limit = config.conditioning_memory,
                                  .disk_limit = config.conditioning_disk});
  const ConditioningStore::Stats stored = conditioning.stats();
  if (!stored.last_failure.empty()) warn(absl::StrCat("the conditioning store: ", stored.last_failure));
  log.Debug(absl::StrCat("the conditioning store has ", stored.entries, " entries of ", stored.disk_bytes, " bytes"));
  NoSource no_source(config.encoder_patience);
  std::unique_ptr<EncoderPool> encoders;
  if (!config.encoders.empty()) {
    EncoderPoolOptions options;
    options.encoders = config.encoders;
    options.credentials = config.credentials;
    options.expected_width = facts.cap_feat_dim;
    options.expected_model_fingerprint = config.encoder_fingerprint;
    options.limits.work = config.encode_timeout;
    options.limits.unreachable_patience = config.encoder_patience;
    options.remembered_identity = conditioning.identity();
    options.log = log;
    encoders = std::make_unique<EncoderPool>(std::move(options));
    CheckEncoders(encoders->Describe(), facts, log);
  } else {
    log.Warn("no encoder is configured (--encoder HOST:PORT): jobs that bring no embeddings wait");
  }

  CachingSource source({.encoders = encoders ? static_cast<ConditioningSource&>(*encoders) : no_source,
                        .identity = [&] { return encoders ? encoders->identity() : std::nullopt; },
                        .store = conditioning,
                        .expected_model_fingerprint = config.encoder_fingerprint,
                        .expected_width = facts.cap_feat_dim,
                        .log = log});

  const LeaseOwner owner{.name = folder.Name(SystemRandom(), clock.UnixMs()),
                         .life = JobIdGenerator(SystemRandom()).Next(clock.UnixMs())};
  const Recovery recovery = RecoverInterrupted(
      store, owner, [&](const std::string& id) { return checkpoints.StepOf(id); }, clock.UnixMs(),
      folder.TakeStopMark());
  if (recovery.waiting > 0) log.Info(absl::StrCat(recovery.waiting, " interrupted jobs wait again"));
  for (const JobRows& rows : recovery.rows) JobUploads(store, uploads).Release(rows);
  RenderMetrics metrics;
  for (const Job& job : recovery.failed) {
    metrics.Ended(job);
    LogEnd(log, job);
  }
  std::set<std::string> waiting;
  for (const QueuedJob& job : store.Queued()) waiting.insert(job.id);
  checkpoints.RemoveAllBut(waiting);
  FairScheduler scheduler(config.client_work_limit);
  JobQueue queue({.store = store,
                  .uploads = uploads,
                  .owner = owner,
                  .scheduler = scheduler,
                  .clock = clock,
                  .limits = config.limits,
                  .ended = [&](const Job& job) {
                    metrics.Ended(job);
                    LogEnd(log, job);
                    // One that stays is removed at the next start.
                    Guard([&] { checkpoints.Remove(job.id); }).IgnoreError();
                  }});
  JobRunner worker({.queue = queue,
                    .store = store,
                    .pictures = pictures,
                    .checkpoints = checkpoints,
                    .inputs = inputs,
                    .source = source,
                    .renderer = *renderer,
                    .clock = clock,
                    .finish = FinishWithReceipt,
                    .events = LoggedAndCounted(log, metrics),
                    .preview = config.preview_every > 0 ? EncodePreview : PreviewEncoder(),
                    .preview_every = config.preview_every,
                    .program_version = kVersion,
                    .batch = config.batch,
                    .max_prompt_tokens = config.allowed.prompt_tokens});
  const Housekeeper housekeeper(
      {.queue = queue,
       .store = store,
       .pictures = pictures,
       .conditioning = uploads,
       .inputs = inputs,
       .clock = clock,
       .retention = config.retention,
       .swept =
           [&](const Swept& swept) {
             log.Info(absl::StrCat("forgotten jobs: ", swept.jobs, ", removed files: ", swept.files));
           },
       .failed = [&](const absl::Status& status) { log.Error(absl::StrCat("housekeeping: ", status.message())); },
       .picture_bytes =
           endpoint ? [&](int64_t bytes) { metrics.PictureBytes(bytes); } : std::function<void(int64_t)>()});
  const absl::Cleanup end_calls = [&] {  // before the queue that they use is gone
    queue.Stop();
    (*server)->Shutdown(kCallGrace);
    endpoint.reset();
  };
  service.Open(
      {.queue = &queue,
       .pictures = &pictures,
       .inputs = &inputs,
       .source = &source,
       .callers = Callers((*server)->names(), config.admin_names),
       .facts = facts,
       .limits = config.allowed,
       .encoders = [&] { return encoders ? ToStatuses(encoders->Describe()) : std::vector<v1::EncoderStatus>(); },
       .known_encoders = [&] { return encoders ? ToStatuses(encoders->Known()) : std::vector<v1::EncoderStatus>(); },
       .conditioning_store = [&] { return ToStatus(conditioning.stats()); },
       .state_folder = [&] { return ToStatus(folder.health()); },
       .check_room = [&] { folder.CheckRoom(config.min_free_bytes); },
       .log_prompts = config.log_prompts,
       .refused = [&](const absl::Status& why) { metrics.Refused(why); }});
  if (endpoint) {
    for (const auto& figures :
         metrics.Figures({.queue = [&] { return queue.census(); },
         .encoders = [&] { return encoders ? encoders->Known() : std::vector<EncoderPool::Report>(); },
         .conditioning = [&] { return conditioning.stats(); }})) {
      endpoint->Add(figures);
    }
    log.Info(absl::StrCat("metrics at ", endpoint->UrlsText()));
  }
  (*server)->SetServing(true);
  log.Info(absl::StrFormat("diptych-renderd %s: loaded in %.1f s, %s on %s with %d threads, transformer %s, VAE %s",
                           kVersion, load_ms / 1000, facts.dtype, facts.device, facts.threads,
                           facts.transformer_fingerprint.substr(0, 12), facts.vae_fingerprint.substr(0, 12)));
  log.Info(absl::StrCat("listening on ", (*server)->AddressesText(), ", waiting jobs: ", queue.waiting()));
  if (!(*server)->tls_text().empty()) log.Info((*server)->tls_text());

  ServiceReporter reporter(log, {.status = [&] { return StatusLine(queue.census()); },
                                 .is_alive = [&] {  // the queue's lock can be taken, and who comes is let in
                                   return queue.running() >= 0 && IsReached(**server, log);
                                 }});
  const ModelWatch model_watch({.look = [&] { return renderer->LookAtFiles(); },
                                .set_serving = [&](bool serving) { (*server)->SetServing(serving); },
                                .stop = stop,
                                .log = log});
  const std::string failure = stop.Wait();
  const absl::Status end =
      failure.empty() ? absl::OkStatus()
                      : StartAnewStatus(failure, config.listen, {config.listen.host, (*server)->address().port});
  reporter.Stopping();
  log.Info("stopping");
  folder.LeaveStopMark();
  queue.Stop();
  AwaitWorkers(queue, config.stop_timeout, end, log);  // meanwhile who asks is told that it stops
  (*server)->Shutdown(kCallGrace);
  worker.Stop();
  log.Info("stopped");
  return end;
}

}  // namespace

absl::Status RunRenderDaemon(const RenderDaemonConfig& config, const Logger& log, const LoadRenderer& load) {
  try {
    return Run(config, log, load);
  } catch (...) {
    return StatusOfCurrentException();
  }
}

}  // namespace diptych
