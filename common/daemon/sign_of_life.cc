#include "common/daemon/sign_of_life.h"

#include <chrono>

namespace diptych {

bool IsReached(ServerRunner& server, const Logger& log) {
  if (server.Answers(std::chrono::seconds(10))) return true;
  log.Error("nobody is answered at this daemon's own port: the service manager gets no sign of life");
  return false;
}

}  // namespace diptych
