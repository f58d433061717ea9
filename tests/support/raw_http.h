// A peer of an HTTP server that says what it likes: by a plain socket, for no library of ours is to be trusted here.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace diptych {

class RawHttp {
 public:
  // Connects to this machine, from this address of it. `receive_bytes`: how much it takes without being read; 0: the
  // system's.
  explicit RawHttp(uint16_t port, const std::string& from = "127.0.0.1", int receive_bytes = 0) {
    const bool v6 = from.find(':') != std::string::npos;
    fd_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    connected_ = v6 ? ConnectV6(port) : ConnectV4(port, from);
  }
  ~RawHttp() {
    if (fd_ >= 0) close(fd_);
  }
  RawHttp(RawHttp&& other) noexcept : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
  RawHttp& operator=(RawHttp&&) = delete;

  bool connected() const { return connected_; }

  // False: the other end takes no more.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // Everything up to the end, or what there is when the patience is over.
  std::string ReadAll(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (ReadSome(end)) {
    }
    return std::exchange(buffer_, {});
  }

  // One answer with its body, as Content-Length says; shorter where the connection ends before.
  std::string ReadAnswer(bool without_body = false, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    size_t head = 0;
    while ((head = buffer_.find("\r\n\r\n")) == std::string::npos && ReadSome(end)) {
    }
    if (head == std::string::npos) return std::exchange(buffer_, {});
    size_t size = head + 4;
    const size_t length = buffer_.find("\r\nContent-Length: ");
    if (!without_body && length < head) size += std::stoul(buffer_.substr(length + 18));
    while (buffer_.size() < size && ReadSome(end)) {
    }
    std::string answer = buffer_.substr(0, size);
    buffer_.erase(0, answer.size());
    return answer;
  }

  // Whether the other end closes within the patience; what it sends before is thrown away.
  bool IsClosedWithin(std::chrono::milliseconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (ReadSome(end)) buffer_.clear();
    return ended_;
  }

 private:
  // False: the end came, or the time is over.
  bool ReadSome(std::chrono::steady_clock::time_point end) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd ready = {fd_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(std::max<int64_t>(left, 0))) <= 0) return false;
    char bytes[16384];
    const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
    if (size <= 0) ended_ = true;
    if (size > 0) buffer_.append(bytes, static_cast<size_t>(size));
    return size > 0;
  }

  bool ConnectV4(uint16_t port, const std::string& from) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, from.c_str(), &address.sin_addr);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  bool ConnectV6(uint16_t port) {  // [::1] is the one there is
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    return connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  int fd_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace diptych
