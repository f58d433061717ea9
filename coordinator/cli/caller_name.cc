#include "coordinator/cli/caller_name.h"

#include <pwd.h>
#include <unistd.h>

#include "common/config/options.h"
#include "common/picture/job_spec.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/command_options.h"

namespace diptych {
namespace {

std::string LoginName() {
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : "uid-" + std::to_string(getuid());
}

}  // namespace

std::string CallerName(const Settings& settings) {
  std::string name = settings.Get(options::kClient);
  if (name.empty()) name = LoginName();
  CheckArgument("--client", name);
  if (name.size() > kMaxClientBytes) throw UsageError("--client is longer than 64 bytes");
  return name;
}

}  // namespace diptych
