// Who is at the other end of a call, as far as an address tells.
#pragma once

#include <string>

namespace diptych {

// Fairness needs a name where a client gives none: the host that it comes from. "ipv4:10.0.0.7:5123" is host 10.0.0.7,
// and so is the name that NamePeer gives.
std::string HostOfPeer(const std::string& peer);

// Whoever has the other end of this pair of local sockets sees a peer of this host, on a connection of its own:
// grpc::ServerContext::peer() of a connection that came through the gate. Returns what ConnectionOfPeer says of that;
// empty, and without effect, when the system does not let it.
std::string NamePeer(int fd, const std::string& host);

// Which connection through the gate this peer is; empty: none.
std::string ConnectionOfPeer(const std::string& peer);

// Whose share of a limit a host takes. A host with IPv6 has as many addresses as it likes, all with the same first 64
// bits: "[2001:db8:0:1::7]" is of "[2001:db8:0:1::/64]". An IPv4 address stands for itself, in IPv6's dress too.
std::string NetworkOfHost(const std::string& host);

}  // namespace diptych
