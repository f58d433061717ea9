// Why a connection does not come about, where gRPC says little.
#pragma once

#include <string>
#include <string_view>

#include "common/net/credentials.h"

namespace diptych {

// For an UNAVAILABLE status with this message of a call to HOST:PORT: what a short connection of our own (1.5 s at
// most, and only where the message speaks of one that was refused or broken) finds wrong with TLS there, as a
// sentence about the peer: "its certificate expired on ...". Empty: nothing, or the message says it all.
std::string TlsAdvice(std::string_view message, const std::string& address, const Credentials& credentials);

// Whether a message of a failed call holds such a sentence, or CheckPlaintextAllowed's (address.h): it says what to do,
// and advice for other causes is wrong.
bool HoldsTlsAdvice(std::string_view message);

}  // namespace diptych
