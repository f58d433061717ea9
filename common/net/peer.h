// Who is at the other end of a call, as far as an address tells.
#pragma once

#include <string>

namespace diptych {

// Fairness needs a name where a client gives none: the host that it comes from. "ipv4:10.0.0.7:5123" is host 10.0.0.7.
inline std::string HostOfPeer(const std::string& peer) {
  const size_t begin = peer.find(':') + 1, end = peer.rfind(':');
  return begin == 0 || end <= begin ? peer : peer.substr(begin, end - begin);
}

// Whose share of a limit a host takes. A host with IPv6 has as many addresses as it likes, all with the same first 64
// bits: "[2001:db8:0:1::7]" is of "[2001:db8:0:1::/64]". An IPv4 address stands for itself, in IPv6's dress too.
std::string NetworkOfHost(const std::string& host);

}  // namespace diptych
