// What diptych-renderd runs with.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/settings.h"
#include "common/log/log.h"
#include "common/net/address.h"
#include "common/net/connection_table.h"
#include "common/net/credentials.h"
#include "render_node/jobs/input_store.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/jobs/operator_limits.h"
#include "render_node/jobs/retention.h"
#include "render_node/pipeline/z_image_options.h"

namespace diptych {

struct RenderDaemonConfig {
  Address listen;
  std::optional<Address> metrics_listen;  // unset: no metrics
  ConnectionLimits connections;
  Credentials credentials;               // to clients and to encoders alike
  std::vector<std::string> admin_names;  // of client certificates
  LogLevel log_level = LogLevel::kInfo;
  bool log_prompts = false;
  std::vector<Address> encoders;                      // may be empty: then only uploaded conditioning is painted
  std::chrono::milliseconds encode_timeout{600'000};  // of one prompt
  std::chrono::milliseconds encoder_patience{0};      // while no encoder answers; 0: no end
  std::string encoder_fingerprint;                    // empty: that of the first encoder that answers
  int64_t conditioning_memory = 0;                    // bytes
  int64_t conditioning_disk = 0;                      // bytes; 0: none
  std::filesystem::path state_dir;
  QueueLimits limits;
  OperatorLimits allowed;
  int64_t client_work_limit = 0;  // jobs of one client in work; 0: none
  int64_t batch = 1;              // jobs that may be painted together; limits.encode_ahead is at least as many
  int32_t preview_every = 1;      // steps; 0: never
  RetentionRules retention;
  InputLimits inputs;
  int64_t min_free_bytes = 0;                      // of the state folder's disk, that no new job takes; 0: none
  std::chrono::milliseconds stop_timeout{10'000};  // for the step under way
  std::optional<double> default_shift;             // in place of the checkpoint's own
  bool use_custom_scheduler = false;               // asked for, to no effect; the log says so
  ZImageOptions renderer;

  // A model path stands for its parts transformer/, vae/ and scheduler/. INVALID_ARGUMENT or FAILED_PRECONDITION (plain
  // text off loopback): wrong usage, named by its flag.
  static absl::StatusOr<RenderDaemonConfig> FromSettings(const Settings& settings);
};

}  // namespace diptych
