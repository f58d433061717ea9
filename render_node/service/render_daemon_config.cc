#include "render_node/service/render_daemon_config.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/config/fingerprint_folder.h"
#include "common/config/options.h"
#include "common/digest/sha256.h"
#include "common/metrics/metrics_endpoint.h"
#include "common/source_files/model_folder.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kMB = 1'000'000;

absl::Status Named(const char* flag, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(flag, ": ", status.message()));
}

std::chrono::milliseconds Milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

absl::Status ReadAddresses(const Settings& settings, RenderDaemonConfig* config) {
  config->credentials = ReadCredentials(settings);
  config->admin_names = settings.Get(options::kRenderAdminNames);
  const absl::StatusOr<Address> listen = ParseListenAddress(settings.Get(options::kRenderListen));
  if (!listen.ok()) return Named("--listen", listen.status());
  if (absl::Status s = CheckAllowed(*listen, config->credentials, "listening on"); !s.ok()) return s;
  config->listen = *listen;
  const absl::StatusOr<std::optional<Address>> metrics =
      ParseMetricsListen(settings.Get(options::kRenderMetricsListen), config->credentials);
  if (!metrics.ok()) return metrics.status();
  config->metrics_listen = *metrics;
  for (const std::string& text : settings.Get(options::kRenderEncoders)) {
    const absl::StatusOr<Address> encoder = ParseAddress(text);
    if (!encoder.ok()) return Named("--encoder", encoder.status());
    if (absl::Status s = CheckAllowed(*encoder, config->credentials, "connecting to the encoder"); !s.ok()) {
      return s;
    }
    for (const Address& other : config->encoders) {
      if (other.ToString() == encoder->ToString()) {
        return absl::InvalidArgumentError(absl::StrCat("--encoder: ", text, " is there twice"));
      }
    }
    config->encoders.push_back(*encoder);
  }
  return absl::OkStatus();
}

// Whether one of the encoders is on this host and takes of its memory.
bool HasEncoderHere(const RenderDaemonConfig& config) {
  return std::any_of(config.encoders.begin(), config.encoders.end(),
                     [](const Address& encoder) { return IsLoopback(encoder); });
}

std::string TextEncoderPath(const Settings& settings) {
  const std::string& own = settings.Get(options::kTextEncoderPath);
  const std::string& model = settings.Get(options::kModelPath);
  return !own.empty() || model.empty() ? own : (fs::path(model) / "text_encoder").string();
}

absl::Status ReadRenderer(const Settings& settings, ZImageOptions* renderer) {
  const fs::path model = settings.Get(options::kModelPath);
  const std::string& transformer = settings.Get(options::kTransformerPath);
  const std::string& vae = settings.Get(options::kVaePath);
  if (model.empty() && (transformer.empty() || vae.empty())) {
    return absl::InvalidArgumentError(
        "no checkpoint: give --model-path DIR, a folder with transformer, vae and scheduler, or both "
        "--transformer-path and "
        "--vae-path");
  }
  renderer->transformer_path = transformer.empty() ? (model / "transformer").string() : transformer;
  renderer->vae_path = vae.empty() ? (model / "vae").string() : vae;
  const fs::path folder = model.empty() ? fs::path(ModelFolderOf(transformer)) : model;
  renderer->scheduler_path = (folder / "scheduler").string();  // need not be there
  renderer->model_path = folder.string();                      // nor its model_index.json
  renderer->config_path = model.string();
  renderer->device = settings.Get(options::kDitDevice);
  renderer->vae_device = settings.Get(options::kVaeDevice);
  renderer->torch_dtype = settings.Get(options::kRenderTorchDtype);
  renderer->threads = static_cast<int>(settings.Get(options::kRenderThreads));
  renderer->ignore_memory = settings.Get(options::kIgnoreMemory);
  renderer->fingerprint_cache = FingerprintFolder(settings.Get(options::kFingerprintCache));
  renderer->tiled_vae = settings.Get(options::kTiledVae);
  renderer->tile_size = static_cast<int>(settings.Get(options::kTileSize));
  renderer->tile_overlap = static_cast<int>(settings.Get(options::kTileOverlap));
  if (2 * renderer->tile_overlap > renderer->tile_size) {
    return absl::InvalidArgumentError(absl::StrCat("--tile-overlap ", renderer->tile_overlap,
                                                   " is more than half of --tile-size ", renderer->tile_size));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RenderDaemonConfig> RenderDaemonConfig::FromSettings(const Settings& settings) {
  RenderDaemonConfig config;
  config.log_level = ParseLogLevel(settings.Get(options::kLogLevel));
  config.log_prompts = settings.Get(options::kLogPrompts);
  config.connections = {.in_all = settings.Get(options::kRenderConnections),
                        .per_host = settings.Get(options::kRenderConnectionsPerHost)};
  config.encode_timeout = Milliseconds(settings.Get(options::kRenderEncodeTimeout));
  config.encoder_patience = Milliseconds(settings.Get(options::kRenderEncoderPatience));
  config.conditioning_memory = settings.Get(options::kRenderConditioningMemory) * kMiB;
  config.conditioning_disk = settings.Get(options::kRenderConditioningDisk) * kMiB;
  config.limits.waiting = settings.Get(options::kRenderQueueLimit);
  config.limits.client_waiting = settings.Get(options::kRenderClientQueueLimit);
  config.limits.host_jobs = settings.Get(options::kRenderHostQueueLimit);
  config.limits.host_bytes = settings.Get(options::kRenderHostQueueMegabytes) * kMB;
  config.inputs.all_bytes = settings.Get(options::kRenderInputsMegabytes) * kMB;
  config.inputs.host_bytes = settings.Get(options::kRenderHostInputsMegabytes) * kMB;
  config.allowed = {.pixels = settings.Get(options::kRenderMaxPixels),
                    .steps = static_cast<int32_t>(settings.Get(options::kRenderMaxSteps)),
                    .prompt_tokens = settings.Get(options::kRenderMaxPromptTokens)};
  config.batch = settings.Get(options::kRenderBatch);
  // With fewer a batch would never be full, and who asks for one need not know of the other key.
  config.limits.encode_ahead = std::max(settings.Get(options::kRenderEncodeAhead), config.batch);
  // A lane for each encoder: one encoder computes one prompt at a time, and then jobs are ready in their order.
  config.limits.encode_lanes =
      std::min(config.limits.encode_ahead,
               std::max<int64_t>(1, static_cast<int64_t>(settings.Get(options::kRenderEncoders).size())));
  config.client_work_limit = settings.Get(options::kRenderClientWorkLimit);
  config.preview_every = static_cast<int32_t>(settings.Get(options::kRenderPreviewEvery));
  config.retention.age_ms = static_cast<int64_t>(settings.Get(options::kRenderKeepDays) * 24 * 3600 * 1000);
  config.retention.jobs = settings.Get(options::kRenderKeepJobs);
  config.retention.bytes = settings.Get(options::kRenderKeepMegabytes) * kMB;
  config.min_free_bytes = settings.Get(options::kRenderMinFreeMegabytes) * kMB;
  config.stop_timeout = Milliseconds(settings.Get(options::kRenderStopTimeout));
  config.use_custom_scheduler = settings.Get(options::kUseCustomScheduler);
  config.default_shift = settings.Get(options::kShift);
  config.state_dir = settings.Get(options::kRenderStateDir);
  if (config.state_dir.empty()) {
    return absl::InvalidArgumentError("no state folder: give --state-dir DIR, where jobs and pictures are kept");
  }
  config.encoder_fingerprint = settings.Get(options::kRenderEncoderFingerprint);
  if (!config.encoder_fingerprint.empty() && !IsSha256Hex(config.encoder_fingerprint)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--encoder-fingerprint: '", config.encoder_fingerprint,
                     "' is not 64 lower-case hexadecimal digits, as diptych nodes --json shows them"));
  }
  if (absl::Status s = ReadAddresses(settings, &config); !s.ok()) return s;
  if (absl::Status s = ReadRenderer(settings, &config.renderer); !s.ok()) return s;
  config.renderer.encoder_path = TextEncoderPath(settings);
  config.renderer.encoder_here = HasEncoderHere(config);
  return config;
}

}  // namespace diptych
