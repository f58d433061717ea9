#include "common/net/peer_names.h"

#include <utility>

#include "common/net/peer.h"

namespace diptych {

void PeerNames::Set(const std::string& connection, std::string name) {
  const std::lock_guard lock(mutex_);
  names_[connection] = std::move(name);
}

void PeerNames::Forget(const std::string& connection) {
  const std::lock_guard lock(mutex_);
  names_.erase(connection);
}

std::optional<std::string> PeerNames::Of(const std::string& peer) const {
  const std::string connection = ConnectionOfPeer(peer);
  const std::lock_guard lock(mutex_);
  const auto found = connection.empty() ? names_.end() : names_.find(connection);
  return found == names_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace diptych
