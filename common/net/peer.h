// Who is at the other end of a call, as far as an address tells.
#pragma once

#include <string>

namespace diptych {

// Fairness needs a name where a client gives none: the host that it comes from. "ipv4:10.0.0.7:5123" is host 10.0.0.7.
inline std::string HostOfPeer(const std::string& peer) {
  const size_t begin = peer.find(':') + 1, end = peer.rfind(':');
  return begin == 0 || end <= begin ? peer : peer.substr(begin, end - begin);
}

}  // namespace diptych
