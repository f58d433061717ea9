// The end of a daemon that wants to begin again with the same command line, because its model's files are others now.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/net/address.h"

namespace diptych {

// UNAVAILABLE with `why`, and the wish. `asked`: the address that was to be listened on; `bound`: the one that was got,
// which is kept where the port was left open: others know it by now.
absl::Status StartAnewStatus(const std::string& why, const Address& asked, const Address& bound);

// The command line with the address of the wish, if it has one, as --listen.
std::vector<std::string> ArgumentsToStartAnew(const absl::Status& wish, std::vector<std::string> arguments);

// Puts the program in place of this process, from its beginning: same process id, environment and standard streams.
// Returns when there is no wish, when a service manager has started us (it starts us again, with its own patience), or
// when it cannot be done. All that must be closed in good order has been closed before.
void StartAnewIfWished(const absl::Status& wish);

}  // namespace diptych
