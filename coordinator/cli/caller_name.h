// Under which name this user asks a renderer.
#pragma once

#include <string>

#include "common/config/settings.h"

namespace diptych {

// --client or client.name, else the name of the certificate (--tls-cert), else the login name. A label: nothing checks
// it, and a renderer that requires certificates goes by theirs. Throws WrongWish as CheckClient.
std::string CallerName(const Settings& settings);

}  // namespace diptych
