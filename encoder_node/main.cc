// diptych-encoderd: wiring only.
#include <cstdio>
#include <optional>
#include <string>

#include "common/config/settings.h"
#include "common/log/log.h"
#include "encoder_node/engine/text_encoder.h"
#include "encoder_node/service/encoder_daemon.h"

namespace {

constexpr char kName[] = "diptych-encoderd";

int Fail(const absl::Status& status, int exit_status) {
  std::fprintf(stderr, "%s: %s\n", kName, std::string(status.message()).c_str());
  return exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace diptych;
  const absl::StatusOr<std::optional<Settings>> settings = ParseDaemonCommandLine(
      kEncoderd, kName, "Turns prompts into the hidden states that the renderer paints from.", argc, argv);
  if (!settings.ok()) return Fail(settings.status(), 2);
  if (!settings->has_value()) return 0;
  const absl::StatusOr<EncoderDaemonConfig> config = EncoderDaemonConfig::FromSettings(**settings);
  if (!config.ok()) return Fail(config.status(), 2);
  const auto log = MakeLogger(kName, config->log_level);
  const absl::Status status = RunEncoderDaemon(*config, *log, LoadTextEncoder);
  return status.ok() ? 0 : Fail(status, 1);
}
