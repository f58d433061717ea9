// The addresses behind a host's name, as the system finds them (nsswitch.conf), so that whatever `getent` knows is
// known.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "absl/status/statusor.h"
#include "common/net/address.h"

namespace diptych {

// One that sockets take.
struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  // In digits; an IPv4 address that came through an IPv6 socket as IPv4.
  Address ToAddress() const;
};

// What the host stands for, each address once, in the system's order of preference. May ask the network.
//   INVALID_ARGUMENT  nobody knows the name
//   UNAVAILABLE       whoever knows it cannot be asked now
absl::StatusOr<std::vector<SocketAddress>> LookUp(const Address& address);

// "box: no address found for this name (getent hosts box)"
std::string NoAddressFound(const std::string& host);

}  // namespace diptych
