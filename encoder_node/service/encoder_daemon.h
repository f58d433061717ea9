// The life of diptych-encoderd: listen, load, serve, stop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/config/settings.h"
#include "common/log/log.h"
#include "common/net/address.h"
#include "common/net/connection_table.h"
#include "common/net/credentials.h"
#include "encoder_node/engine/prompt_encoder.h"
#include "encoder_node/engine/text_encoder.h"
#include "encoder_node/engine/turn_queue.h"

namespace diptych {

struct EncoderDaemonConfig {
  Address listen;
  std::optional<Address> metrics_listen;  // unset: no metrics
  ConnectionLimits connections;
  Credentials credentials;
  LogLevel log_level = LogLevel::kInfo;
  bool log_prompts = false;
  int64_t prompt_byte_limit = 0;
  LineLimits line;
  TextEncoderOptions encoder;

  // A model path stands for its parts text_encoder/ and tokenizer/; FindTokenizer says where else the tokenizer may
  // be. INVALID_ARGUMENT or FAILED_PRECONDITION (plain text off loopback): wrong usage.
  static absl::StatusOr<EncoderDaemonConfig> FromSettings(const Settings& settings);
};

using LoadEncoder = std::function<std::unique_ptr<PromptEncoder>(const TextEncoderOptions&)>;

// Runs until SIGINT or SIGTERM, and then until the calls under way have ended (10 s at most). As soon as the port is
// bound it prints one line to stdout, {"listening":"127.0.0.1:43210"}; health says SERVING when `load` has returned.
// Call it on the main thread before any other thread is started. Not OK when the address cannot be had or the
// checkpoint cannot be loaded: exit with 1.
absl::Status RunEncoderDaemon(const EncoderDaemonConfig& config, const Logger& log, const LoadEncoder& load);

}  // namespace diptych
