// Whom a client asks, and with what.
#pragma once

#include <string>

#include "common/net/credentials.h"

namespace diptych {

struct PeerAddress {
  std::string what;  // begins messages: "the renderer"
  std::string address;
  Credentials credentials;
};

}  // namespace diptych
