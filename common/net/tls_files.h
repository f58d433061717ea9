// The files that Credentials name, read and judged before anything is served or asked with them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/credentials.h"

namespace diptych {

enum class TlsEnd { kServer, kClient };

struct TlsFiles {
  std::string certificates;  // PEM: ours and those behind it; empty: none
  std::string key;           // PEM
  std::string authorities;   // PEM; empty: none named
  std::string name;          // of our certificate, as peers know us; empty: none
  std::string summary;       // of our certificate: "\"box\" of \"Diptych CA\", valid until ..."
  std::vector<std::string> warnings;
};

// INVALID_ARGUMENT, FAILED_PRECONDITION or NOT_FOUND name flag, file and what is wrong: a file that cannot be read or
// holds something else; a key that does not fit the certificate or has a password; a certificate that is not valid
// today or too weak; flags that are missing for this end. A key that others may read, and a certificate that soon
// expires, are warnings.
absl::StatusOr<TlsFiles> ReadTlsFiles(const Credentials& credentials, TlsEnd end);

}  // namespace diptych
