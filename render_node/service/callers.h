// Who a call is from, and what he may do with what is of others.
#pragma once

#include <grpcpp/server_context.h>

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/peer_names.h"

namespace diptych {

struct Caller {
  std::string name;        // may be empty, unless proven
  bool is_proven = false;  // by a certificate
  bool is_admin = false;   // proven, and one of the names that may do everything

  // Whether `client`'s jobs are his own. A name that nothing proves is believed.
  bool MayActFor(const std::string& client) const { return !is_proven || is_admin || name == client; }
};

// Immutable.
class Callers {
 public:
  // Clients are whoever they say they are.
  Callers() = default;
  // Clients are whom their certificates name, whatever they say; null: as above.
  Callers(const PeerNames* names, const std::vector<std::string>& admins)
      : names_(names), admins_(admins.begin(), admins.end()) {}

  // `said`: the name in the request. INVALID_ARGUMENT for one that is none, UNAUTHENTICATED when there must be a
  // certificate and its connection has ended.
  absl::StatusOr<Caller> Of(const std::string& said, const grpc::ServerContextBase& context) const;

 private:
  const PeerNames* names_ = nullptr;
  std::set<std::string> admins_;
};

}  // namespace diptych
