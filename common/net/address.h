// Where a daemon listens or is found: HOST:PORT or [V6]:PORT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace diptych {

struct Address {
  std::string host;   // a name, an IPv4 address, or an IPv6 address without brackets
  uint16_t port = 0;  // 0: when listening, any free port

  std::string ToString() const;  // with brackets around IPv6
  bool operator==(const Address&) const = default;
};

// An address to call: port 1 to 65535, host not 0.0.0.0 or ::. INVALID_ARGUMENT says what is wrong and shows the form.
absl::StatusOr<Address> ParseAddress(std::string_view text);

// An address to listen on: port 0 is allowed.
absl::StatusOr<Address> ParseListenAddress(std::string_view text);

// 127.0.0.0/8, ::1 and names that stand for nothing else, which the system is asked for (host_lookup.h); localhost also
// where nobody knows it.
bool IsLoopback(const Address& address);

// Plain text leaves this machine only when the user said --insecure. `what` begins the
// sentence, e.g. "listening" or "connecting to the encoder". A name that nobody knows gets the status of LookUp.
absl::Status CheckPlaintextAllowed(const Address& address, bool insecure, std::string_view what);

// The warning to log for an address that CheckPlaintextAllowed let through only because of --insecure; empty when there
// is none.
std::string PlaintextWarning(const Address& address, std::string_view what);

}  // namespace diptych
