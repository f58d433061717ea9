// diptych-renderd: wiring only.
#include "common/daemon/daemon_main.h"
#include "render_node/pipeline/z_image_renderer.h"
#include "render_node/service/render_daemon.h"
#include "render_node/service/render_daemon_config.h"

int main(int argc, char** argv) {
  using namespace diptych;
  return DaemonMain<RenderDaemonConfig>(
      {kRenderd, "diptych-renderd", "Accepts jobs, paints them one after another and keeps the pictures."}, argc, argv,
      [](const auto& config, const Logger& log) { return RunRenderDaemon(config, log, LoadZImageRenderer); });
}
