// The life of diptych-renderd: lock the state folder, listen, load, serve, stop.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/log/log.h"
#include "render_node/pipeline/picture_renderer.h"
#include "render_node/service/render_daemon_config.h"

namespace diptych {

using LoadRenderer = std::function<std::unique_ptr<PictureRenderer>(const ZImageOptions&)>;

// Runs until SIGINT or SIGTERM; the running job then waits again, and the call returns within seconds. As soon as the
// port is bound it prints one line to stdout, {"listening":"127.0.0.1:43210"}; health says SERVING when `load` has
// returned and the worker runs. Below debug level nothing is logged before that but warnings. Call it on the main
// thread before any other thread is started. Where a step or a load cannot be interrupted the process ends with status
// 0 in here.
//   FAILED_PRECONDITION  another daemon uses the state folder; an encoder that answers has another width than the DiT
//   UNAVAILABLE          the address is in use
//   anything else        the checkpoint or the job store cannot be read
// Not OK: exit with 1.
absl::Status RunRenderDaemon(const RenderDaemonConfig& config, const Logger& log, const LoadRenderer& load);

}  // namespace diptych
