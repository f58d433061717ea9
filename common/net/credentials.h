// What a server or a channel proves itself with, and whether plain text may leave this machine.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/net/address.h"

namespace diptych {

class Settings;

// One value for all that a program does on the network: a server is encrypted with it, and so is every channel.
struct Credentials {
  // PEM files. Any of them turns TLS on, in and out.
  std::string cert = {};  // our own certificate, then those between it and its CA; empty: none
  std::string key = {};   // its private key, without a password
  // The CAs that peers' certificates must be of. A server then requires one of every client. Empty: of clients none is
  // wanted, servers are judged by the system's CAs; for a client kSystemAuthorities says the same.
  std::string ca = {};
  bool insecure = false;  // plain text may leave this machine

  bool has_tls() const { return !cert.empty() || !key.empty() || !ca.empty(); }
};

inline constexpr char kSystemAuthorities[] = "system";

// --tls-cert, --tls-key, --tls-ca, --insecure.
Credentials ReadCredentials(const Settings& settings);

// Whether bytes may be sent to, or listened for on, this address: encrypted everywhere, plain text as
// CheckPlaintextAllowed says.
absl::Status CheckAllowed(const Address& address, const Credentials& credentials, std::string_view what);

// The warning to log for an address that only --insecure lets through; empty when there is none.
std::string PlaintextWarning(const Address& address, const Credentials& credentials, std::string_view what);

}  // namespace diptych
