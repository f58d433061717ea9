// diptych-renderd: wiring only.
#include <cstdio>
#include <optional>
#include <string>

#include "common/config/settings.h"
#include "common/log/log.h"
#include "render_node/pipeline/z_image_renderer.h"
#include "render_node/service/render_daemon.h"
#include "render_node/service/render_daemon_config.h"

namespace {

constexpr char kName[] = "diptych-renderd";

int Fail(const absl::Status& status, int exit_status) {
  std::fprintf(stderr, "%s: %s\n", kName, std::string(status.message()).c_str());
  return exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace diptych;
  const absl::StatusOr<std::optional<Settings>> settings = ParseDaemonCommandLine(
      kRenderd, kName, "Accepts jobs, paints them one after another and keeps the pictures.", argc, argv);
  if (!settings.ok()) return Fail(settings.status(), 2);
  if (!settings->has_value()) return 0;
  const absl::StatusOr<RenderDaemonConfig> config = RenderDaemonConfig::FromSettings(**settings);
  if (!config.ok()) return Fail(config.status(), 2);
  const auto log = MakeLogger(kName, config->log_level);
  const absl::Status status = RunRenderDaemon(*config, *log, LoadZImageRenderer);
  return status.ok() ? 0 : Fail(status, 1);
}
