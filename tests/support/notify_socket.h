// The end of sd_notify's socket that a service manager has.
#pragma once

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace diptych {

class NotifySocket {
 public:
  NotifySocket() {
    std::string folder = (std::filesystem::temp_directory_path() / "notify.XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
    if (bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot bind " + path());
    }
  }
  ~NotifySocket() {
    close(socket_);
    std::filesystem::remove_all(folder_);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  std::string path() const { return folder_ / "socket"; }  // for NOTIFY_SOCKET

  // Until a message comes that contains `text`; false after 20 s.
  bool Await(const std::string& text) {
    return Await([&](const std::string& message) { return message.find(text) != std::string::npos; });
  }
  bool Await(const std::function<bool(const std::string&)>& is_it) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < end) {
      if (Receive(100) && is_it(messages_.back())) return true;
    }
    return false;
  }
  // All that came so far.
  const std::vector<std::string>& Drain() {
    while (Receive(0)) {
    }
    return messages_;
  }
  int64_t Count(const std::string& message) { return std::count(Drain().begin(), Drain().end(), message); }

 private:
  bool Receive(int milliseconds) {
    pollfd ready = {socket_, POLLIN, 0};
    if (poll(&ready, 1, milliseconds) <= 0) return false;
    char buffer[4096];
    const ssize_t size = recv(socket_, buffer, sizeof buffer, 0);
    if (size < 0) return false;
    messages_.emplace_back(buffer, static_cast<size_t>(size));
    return true;
  }

  std::filesystem::path folder_;
  int socket_ = -1;
  std::vector<std::string> messages_;
};

}  // namespace diptych
