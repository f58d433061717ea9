// What a daemon looks at before it gives the service manager a sign of life.
#pragma once

#include "common/log/log.h"
#include "common/net/server_runner.h"

namespace diptych {

// Whether clients are answered at the daemon's own port, within 10 s; when not, the log says so.
bool IsReached(ServerRunner& server, const Logger& log);

}  // namespace diptych
