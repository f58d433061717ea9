#include "common/net/credentials.h"

#include "common/config/options.h"
#include "common/config/settings.h"

namespace diptych {

Credentials ReadCredentials(const Settings& settings) {
  return {.cert = settings.Get(options::kTlsCert),
          .key = settings.Get(options::kTlsKey),
          .ca = settings.Get(options::kTlsCa),
          .insecure = settings.Get(options::kInsecure)};
}

absl::Status CheckAllowed(const Address& address, const Credentials& credentials, std::string_view what) {
  return credentials.has_tls() ? absl::OkStatus() : CheckPlaintextAllowed(address, credentials.insecure, what);
}

std::string PlaintextWarning(const Address& address, const Credentials& credentials, std::string_view what) {
  return credentials.has_tls() ? "" : PlaintextWarning(address, what);
}

}  // namespace diptych
