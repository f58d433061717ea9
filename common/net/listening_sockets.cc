#include "common/net/listening_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/host_lookup.h"

namespace diptych {
namespace {

constexpr int kTries = 16;                  // to find a port that is free on every address
constexpr unsigned kUserTimeoutMs = 10000;  // bytes that nobody acknowledges for so long end a connection

std::string ReasonText(int error) {
  if (error == EADDRINUSE) return "another program listens there";
  if (error == EADDRNOTAVAIL) return "that is no address of this machine";
  return std::strerror(error);
}

void SetPort(SocketAddress* address, uint16_t port) {
  if (address->storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address->storage)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address->storage)->sin_port = htons(port);
  }
}

// The socket, or less than 0: then errno says why. Accepted connections inherit the options.
int ListenOn(const SocketAddress& address) {
  const bool v6 = address.storage.ss_family == AF_INET6;
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fd;
  const int on = 1, off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof kUserTimeoutMs);
  if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd, address.get(), address.size) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
  const int why = errno;
  close(fd);
  errno = why;
  return -1;
}

Address BoundAddress(int fd) {
  SocketAddress bound;
  bound.size = sizeof bound.storage;
  getsockname(fd, bound.get(), &bound.size);
  return bound.ToAddress();
}

}  // namespace

ListeningSockets::ListeningSockets(ListeningSockets&& other) noexcept
    : addresses_(std::exchange(other.addresses_, {})), descriptors_(std::exchange(other.descriptors_, {})) {}

ListeningSockets::~ListeningSockets() {
  for (const int fd : descriptors_) close(fd);
}

absl::StatusOr<ListeningSockets> ListeningSockets::Open(const Address& listen, std::string_view doing,
                                                        std::string_view flag) {
  // What the user reads who asked for an address that cannot be had.
  const auto refusal = [&](absl::StatusCode code, absl::string_view reason) {
    return absl::Status(code,
                        absl::StrCat("cannot ", std::string(doing), " on ", listen.ToString(), ": ", reason, "; ",
                                     std::string(flag), " HOST:PORT chooses another address (port 0: any free port)"));
  };
  absl::StatusOr<std::vector<SocketAddress>> found = LookUp(listen);
  if (!found.ok()) {
    return refusal(found.status().code(), found.status().message());
  }
  std::stable_partition(found->begin(), found->end(),
                        [](const SocketAddress& address) { return address.storage.ss_family == AF_INET; });
  for (int tries = kTries;; --tries) {
    ListeningSockets sockets;
    uint16_t port = listen.port;
    int reason = 0;
    for (SocketAddress& address : *found) {
      SetPort(&address, port);
      const int fd = ListenOn(address);
      if (fd >= 0) {
        sockets.descriptors_.push_back(fd);
        sockets.addresses_.push_back(BoundAddress(fd));
        port = sockets.addresses_.back().port;
      } else {
        reason = errno;
        if (reason == EADDRINUSE) break;  // half of localhost would be another daemon's
      }
    }
    if (reason == EADDRINUSE && listen.port == 0 && tries > 1) continue;
    if (!sockets.descriptors_.empty() && reason != EADDRINUSE) return sockets;
    return refusal(absl::StatusCode::kUnavailable, ReasonText(reason));
  }
}

}  // namespace diptych
