// Whether a server can be reached at its own port, asked from within.
#pragma once

#include <chrono>
#include <functional>

#include "common/net/address.h"

namespace diptych {

// Connects to the port as any client does and asks the standard health service there; whatever it answers, somebody
// did. `announce` hears beforehand from which address and port. False when there was no answer in time.
bool AnswersAtPort(const Address& bound, std::chrono::milliseconds patience,
                   const std::function<void(const Address& from)>& announce);

}  // namespace diptych
