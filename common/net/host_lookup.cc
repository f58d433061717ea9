#include "common/net/host_lookup.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace diptych {
namespace {

constexpr char kV4Mapped[] = "::ffff:";

bool IsSame(const SocketAddress& a, const SocketAddress& b) {
  return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

}  // namespace

Address SocketAddress::ToAddress() const {
  char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "0";
  getnameinfo(get(), size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
  Address address{host, static_cast<uint16_t>(std::stoi(port))};
  const std::string v4 = address.host.substr(0, std::strlen(kV4Mapped)) == kV4Mapped
                             ? address.host.substr(std::strlen(kV4Mapped))
                             : std::string();
  if (v4.find('.') != std::string::npos) address.host = v4;
  return address;
}

absl::StatusOr<std::vector<SocketAddress>> LookUp(const Address& address) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
      error != 0) {
    const bool now_only = error == EAI_AGAIN || error == EAI_MEMORY || error == EAI_SYSTEM;
    return absl::Status(now_only ? absl::StatusCode::kUnavailable : absl::StatusCode::kInvalidArgument,
                        NoAddressFound(address.host));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  std::vector<SocketAddress> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    SocketAddress one;
    one.size = each->ai_addrlen;
    std::memcpy(&one.storage, each->ai_addr, each->ai_addrlen);
    const bool again =
        std::any_of(addresses.begin(), addresses.end(), [&](const SocketAddress& other) { return IsSame(one, other); });
    if (!again) addresses.push_back(one);  // /etc/hosts may name it twice
  }
  return addresses;
}

std::string NoAddressFound(const std::string& host) {
  return absl::StrCat(host, ": no address found for this name (getent hosts ", host, ")");
}

}  // namespace diptych
