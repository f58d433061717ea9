// A gRPC server with what every daemon of ours has: health, reflection, keepalive, an orderly end.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/server.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/acceptor.h"
#include "common/net/address.h"
#include "common/net/credentials.h"
#include "common/net/gate.h"
#include "common/net/peer_names.h"
#include "common/net/tls_server.h"

namespace diptych {

struct NamedService {
  std::string name;        // service_full_name() of the generated class; its name at the health service
  grpc::Service* service;  // must outlive the runner
};

struct ServerOptions {
  ConnectionLimits connections = {};
  TrafficLimits traffic = {};
  int64_t unfinished_bytes = 64 << 20;  // of messages that have begun, of all connections together
  std::string connections_hint = {};    // which settings these are, for the log
  Credentials credentials = {};
  std::chrono::seconds handshake_within{10};  // TLS
  std::chrono::seconds refresh_every{60};     // how often the files of TLS are looked at
  // That connections were closed at once, handshakes failed, files of TLS changed; seldom more than one line of a kind
  // in 10 s. On threads of the runner's.
  std::function<void(const std::string& text)> warn = {};
};

// Runs from Start to Shutdown. Thread-safe. Connections are accepted by our own Acceptor (acceptor.h) and handed to
// gRPC through a Gate (gate.h): gRPC's own listener stops for ever when descriptors run out once (1.51,
// tcp_server_posix.cc), and it has no limits of its own for much that a peer can do. A compressed message is refused,
// with UNIMPLEMENTED, before a byte is unpacked.
class ServerRunner {
 public:
  // Listens at once; every service is NOT_SERVING until SetServing(true).
  // Fails as ListeningSockets and ReadTlsFiles do.
  static absl::StatusOr<std::unique_ptr<ServerRunner>> Start(const Address& listen,
                                                             const std::vector<NamedService>& services,
                                                             const ServerOptions& options = {});
  ~ServerRunner();  // Shutdown without grace, unless it has been done

  // In digits, with the port that was chosen when the caller asked for port 0: one for each address of the name that
  // was given; the first.
  const std::vector<Address>& addresses() const { return addresses_; }
  const Address& address() const { return addresses_.front(); }
  // "127.0.0.1:7872 and [::1]:7872"
  std::string AddressesText() const;

  // Who a connection's certificate says its peer is; null: clients show none.
  const PeerNames* names() const { return requires_certificates_ ? &peer_names_ : nullptr; }
  // For the log: which certificate, until when, and whether clients need one. Empty: plain text.
  const std::string& tls_text() const { return tls_text_; }

  // What the standard health service says of every service, and of the server as a whole (the empty name).
  void SetServing(bool serving);

  // Whether a client of this machine is answered at each address; asked with a connection of its own beside the limits,
  // and in plain text whatever the others speak.
  bool Answers(std::chrono::milliseconds patience);

  // Accepts no more; NOT_SERVING, no new calls; calls under way have `grace` to end, then they are cancelled. Returns
  // when the last handler has.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  ServerRunner(std::vector<Address> addresses, std::vector<std::string> names, std::unique_ptr<grpc::Server> server,
               std::unique_ptr<TlsServer> tls);

  const std::vector<Address> addresses_;
  const std::vector<std::string> names_;
  const std::unique_ptr<grpc::Server> server_;
  const std::unique_ptr<TlsServer> tls_;  // none: plain text; the gate's thread uses it
  const bool requires_certificates_;
  const std::string tls_text_;
  PeerNames peer_names_;
  std::unique_ptr<Gate> gate_;  // none before Start's end, nor after Shutdown
  std::mutex door_mutex_;
  std::unique_ptr<Acceptor> acceptor_;  // none after Shutdown
};

}  // namespace diptych
