// Who is at the other end of a connection, by its certificate.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace diptych {

// Kept by the gate, asked by handlers. Thread-safe.
class PeerNames {
 public:
  // `connection`: as NamePeer returned it.
  void Set(const std::string& connection, std::string name);
  void Forget(const std::string& connection);

  // By grpc::ServerContext::peer(). nullopt: the connection has ended, or showed no certificate.
  std::optional<std::string> Of(const std::string& peer) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::string> names_;
};

}  // namespace diptych
