#include "common/net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

namespace diptych {
namespace {

// gRPC writes the brackets of "[::1]" as "%5B" and "%5D".
std::string Bare(std::string host) {
  for (const char* mark : {"%5B", "%5D", "[", "]"}) {
    const size_t at = host.find(mark);
    if (at != std::string::npos) host.erase(at, std::string(mark).size());
  }
  return host.substr(0, host.find('%'));  // "fe80::1%eth0"
}

}  // namespace

std::string NetworkOfHost(const std::string& host) {
  in6_addr address{};
  if (inet_pton(AF_INET6, Bare(host).c_str(), &address) != 1) return host;
  char text[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&address)) return inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
  if (IN6_IS_ADDR_LOOPBACK(&address)) return "[::1]";
  std::fill(address.s6_addr + 8, address.s6_addr + 16, uint8_t{0});
  return "[" + std::string(inet_ntop(AF_INET6, &address, text, sizeof text)) + "/64]";
}

}  // namespace diptych
