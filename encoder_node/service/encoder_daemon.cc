#include "encoder_node/service/encoder_daemon.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/fingerprint_folder.h"
#include "common/config/options.h"
#include "common/daemon/daemon_stop.h"
#include "common/daemon/descriptors.h"
#include "common/daemon/model_watch.h"
#include "common/daemon/service_manager.h"
#include "common/daemon/sign_of_life.h"
#include "common/daemon/start_anew.h"
#include "common/error/status.h"
#include "common/metrics/metrics_endpoint.h"
#include "common/net/server_runner.h"
#include "common/tokenizer/find_tokenizer.h"
#include "common/version/version.h"
#include "encoder_node/service/encoder_metrics.h"
#include "encoder_node/service/encoder_service.h"

namespace diptych {
namespace {

constexpr std::chrono::seconds kGrace(10);

absl::Status FindParts(const std::string& model_path, const std::string& text_encoder_path,
                       TextEncoderOptions* encoder) {
  if (model_path.empty() && text_encoder_path.empty()) {
    return absl::InvalidArgumentError("no checkpoint: give --model-path DIR or --text-encoder-path PATH");
  }
  encoder->text_encoder_path =
      text_encoder_path.empty() ? (std::filesystem::path(model_path) / "text_encoder").string() : text_encoder_path;
  encoder->config_path = model_path;
  encoder->tokenizer_path = FindTokenizer(model_path, text_encoder_path).string();
  return absl::OkStatus();
}

// Whatever the answer: a service that hangs gives none.
bool AnswersAtAll(EncoderService& service) {
  v1::DescribeEncoderResponse response;
  (void)service.Describe(nullptr, nullptr, &response);
  return true;
}

}  // namespace

absl::StatusOr<EncoderDaemonConfig> EncoderDaemonConfig::FromSettings(const Settings& settings) {
  EncoderDaemonConfig config;
  const absl::StatusOr<Address> listen = ParseListenAddress(settings.Get(options::kEncoderListen));
  if (!listen.ok()) return listen.status();
  config.listen = *listen;
  config.credentials = ReadCredentials(settings);
  if (absl::Status s = CheckAllowed(config.listen, config.credentials, "listening on"); !s.ok()) return s;
  const absl::StatusOr<std::optional<Address>> metrics =
      ParseMetricsListen(settings.Get(options::kEncoderMetricsListen), config.credentials);
  if (!metrics.ok()) return metrics.status();
  config.metrics_listen = *metrics;
  config.connections = {.in_all = settings.Get(options::kEncoderConnections),
                        .per_host = settings.Get(options::kEncoderConnectionsPerHost)};
  config.log_level = ParseLogLevel(settings.Get(options::kLogLevel));
  config.log_prompts = settings.Get(options::kLogPrompts);
  config.prompt_byte_limit = settings.Get(options::kEncoderPromptByteLimit);
  config.line.prompts = static_cast<size_t>(settings.Get(options::kEncoderWaiting));
  config.line.prompts_per_host = static_cast<size_t>(settings.Get(options::kEncoderWaitingPerHost));
  config.encoder.device = settings.Get(options::kEncoderDevice);
  config.encoder.torch_dtype = settings.Get(options::kEncoderTorchDtype);
  config.encoder.threads = static_cast<int>(settings.Get(options::kEncoderThreads));
  config.encoder.ignore_memory = settings.Get(options::kIgnoreMemory);
  config.encoder.fingerprint_cache = FingerprintFolder(settings.Get(options::kFingerprintCache));
  absl::Status parts = absl::OkStatus();
  const absl::Status guarded = Guard([&] {
    parts = FindParts(settings.Get(options::kModelPath), settings.Get(options::kTextEncoderPath), &config.encoder);
  });
  if (!guarded.ok()) return guarded;
  if (!parts.ok()) return parts;
  return config;
}

absl::Status RunEncoderDaemon(const EncoderDaemonConfig& config, const Logger& log, const LoadEncoder& load) {
  DaemonStop stop(log);
  if (const std::string warning = PlaintextWarning(config.listen, config.credentials, "listening on");
      !warning.empty()) {
    log.Warn(warning);
  }
  EncoderMetrics metrics;
  std::atomic<int64_t> prompts = 0;
  const auto count = [&](const EncodeReport& report) {
    metrics.Ended(report);
    if (report.code == absl::StatusCode::kOk) ++prompts;
  };
  EncoderService service({.program_version = kVersion,
                          .prompt_byte_limit = config.prompt_byte_limit,
                          .log_prompts = config.log_prompts,
                          .line = config.line,
                          .ended = count},
                         log);
  const absl::StatusOr<std::unique_ptr<ServerRunner>> runner =
      ServerRunner::Start(config.listen, {{v1::Encoder::service_full_name(), &service}},
                          {.connections = WithinDescriptorLimit(config.connections, log),
                           .connections_hint = " (encoder.connections_per_host, encoder.connections)",
                           .credentials = config.credentials,
                           .warn = [&](const std::string& text) { log.Warn(text); }});
  if (!runner.ok()) return runner.status();
  std::unique_ptr<MetricsEndpoint> endpoint;
  if (config.metrics_listen) {
    absl::StatusOr<std::unique_ptr<MetricsEndpoint>> started = MetricsEndpoint::Start(*config.metrics_listen);
    if (!started.ok()) return started.status();
    endpoint = *std::move(started);
    endpoint->Add(metrics.figures());
    const std::string warning = PlaintextWarning(*config.metrics_listen, "listening for metrics on");
    if (!warning.empty()) log.Warn(warning);
  }
  AnnounceAddresses((*runner)->addresses());

  log.Info(absl::StrCat("loading the text encoder from ", config.encoder.text_encoder_path, ", tokenizer from ",
                        config.encoder.tokenizer_path));
  TellServiceManager("STATUS=loading the model");
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<std::unique_ptr<PromptEncoder>> encoder = Guard([&] { return load(config.encoder); });
  if (!encoder.ok()) return encoder.status();
  stop.Loaded();
  const EncoderFacts facts = (*encoder)->facts();
  for (const std::string& note : facts.notes) log.Info(note);
  for (const std::string& warning : facts.warnings) log.Warn(warning);
  const std::shared_ptr<PromptEncoder> loaded = *std::move(encoder);
  service.SetEncoder(loaded);
  (*runner)->SetServing(true);
  log.Info(absl::StrFormat("loaded in %.1f s: %d layers, width %d, %s on %s with %d threads, fingerprint %s",
                           std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
                           facts.layers, facts.width, std::string(StateDtypeName(facts.dtype)), facts.device,
                           facts.threads, facts.model_fingerprint));
  log.Info(absl::StrCat("listening on ", (*runner)->AddressesText()));
  if (!(*runner)->tls_text().empty()) log.Info((*runner)->tls_text());
  if (endpoint) log.Info(absl::StrCat("metrics at ", endpoint->UrlsText()));

  ServiceReporter reporter(log, {.status = [&] { return absl::StrCat(prompts.load(), " prompts since start"); },
                                 .is_alive = [&] { return AnswersAtAll(service) && IsReached(**runner, log); }});
  const ModelWatch model_watch({.look = [&] { return loaded->LookAtFiles(); },
                                .set_serving = [&](bool serving) { (*runner)->SetServing(serving); },
                                .stop = stop,
                                .log = log});
  const std::string failure = stop.Wait();
  reporter.Stopping();
  log.Info("stopping");
  service.BeginStop();
  (*runner)->Shutdown(kGrace);
  log.Info("stopped");
  return failure.empty() ? absl::OkStatus()
                         : StartAnewStatus(failure, config.listen, {config.listen.host, (*runner)->address().port});
}

}  // namespace diptych
