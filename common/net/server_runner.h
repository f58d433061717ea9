// A gRPC server with what every daemon of ours has: health, reflection, keepalive, an orderly end.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/server.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/address.h"

namespace diptych {

struct NamedService {
  std::string name;        // service_full_name() of the generated class; its name at the health service
  grpc::Service* service;  // must outlive the runner
};

// Runs from Start to Shutdown. Thread-safe.
class ServerRunner {
 public:
  // Listens at once; every service is NOT_SERVING until SetServing(true).
  //   UNAVAILABLE        the address is in use, or is not this machine's, or may not be used
  //   INVALID_ARGUMENT   the host's name is not known
  // The message says which, and that --listen chooses another.
  static absl::StatusOr<std::unique_ptr<ServerRunner>> Start(const Address& listen,
                                                             const std::vector<NamedService>& services);
  ~ServerRunner();  // Shutdown without grace, unless it has been done

  // With the port that was chosen when the caller asked for port 0.
  const Address& address() const { return address_; }

  // What the standard health service says of every service, and of the server as a whole (the empty name).
  void SetServing(bool serving);

  // NOT_SERVING, no new calls; calls under way have `grace` to end, then they are cancelled. Returns when the last
  // handler has.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  ServerRunner(Address address, std::vector<std::string> names, std::unique_ptr<grpc::Server> server);

  const Address address_;
  const std::vector<std::string> names_;
  const std::unique_ptr<grpc::Server> server_;
};

}  // namespace diptych
