#include "common/net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

constexpr char kOurs[] = "unix-abstract:diptych/";

// gRPC writes the brackets of "[::1]" as "%5B" and "%5D".
std::string Bare(std::string host) {
  for (const char* mark : {"%5B", "%5D", "[", "]"}) {
    const size_t at = host.find(mark);
    if (at != std::string::npos) host.erase(at, std::string(mark).size());
  }
  return host.substr(0, host.find('%'));  // "fe80::1%eth0"
}

// Nobody else in this network namespace has it.
uint64_t RandomNumber() {
  static thread_local std::mt19937_64 numbers{std::random_device{}()};
  return numbers();
}

}  // namespace

std::string HostOfPeer(const std::string& peer) {
  if (absl::StartsWith(peer, kOurs)) return Bare(peer.substr(peer.rfind('/') + 1));
  const size_t begin = peer.find(':') + 1, end = peer.rfind(':');
  return begin == 0 || end <= begin ? peer : peer.substr(begin, end - begin);
}

std::string NetworkOfHost(const std::string& host) {
  in6_addr address{};
  if (inet_pton(AF_INET6, Bare(host).c_str(), &address) != 1) return host;
  char text[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&address)) return inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
  if (IN6_IS_ADDR_LOOPBACK(&address)) return "[::1]";
  std::fill(address.s6_addr + 8, address.s6_addr + 16, uint8_t{0});
  return "[" + std::string(inet_ntop(AF_INET6, &address, text, sizeof text)) + "/64]";
}

std::string NamePeer(int fd, const std::string& host) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string connection = absl::StrCat(absl::Hex(RandomNumber(), absl::kZeroPad16));
  const std::string text = absl::StrCat("diptych/", connection, "/", host);
  const size_t size = std::min(text.size(), sizeof name.sun_path - 1);
  std::memcpy(name.sun_path + 1, text.data(), size);  // behind a zero: in no folder
  const bool named = bind(fd, reinterpret_cast<const sockaddr*>(&name),
                          static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + size)) == 0;
  return named ? connection : "";
}

std::string ConnectionOfPeer(const std::string& peer) {
  if (!absl::StartsWith(peer, kOurs)) return "";
  const std::string rest = peer.substr(sizeof kOurs - 1);
  return rest.substr(0, rest.find('/'));
}

}  // namespace diptych
