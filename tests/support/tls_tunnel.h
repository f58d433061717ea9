// A TLS client that a test can say anything through, in plain text.
#pragma once

#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "common/net/credentials.h"
#include "common/net/host_lookup.h"

namespace diptych {

// Connects, and shows the certificate of `credentials` (whoever answers is believed). What is written to fd() goes out
// inside TLS, and what comes in can be read there; the descriptor is the caller's. The tunnel outlives it.
class TlsTunnel {
 public:
  TlsTunnel(const Address& to, const Credentials& credentials) {
    const SocketAddress there = LookUp(to)->front();
    outer_ = socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ends[2] = {-1, -1};
    if (connect(outer_, there.get(), there.size) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      return;
    }
    fd_ = ends[0];
    inner_ = ends[1];
    context_ = SSL_CTX_new(TLS_client_method());
    constexpr unsigned char kHttp2[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context_, kHttp2, sizeof kHttp2);
    if (!credentials.cert.empty()) {
      SSL_CTX_use_certificate_chain_file(context_, credentials.cert.c_str());
      SSL_CTX_use_PrivateKey_file(context_, credentials.key.c_str(), SSL_FILETYPE_PEM);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, outer_);
    is_open_ = SSL_connect(ssl_) == 1;
    pump_ = std::thread([this] { Pump(); });
  }
  ~TlsTunnel() {
    ending_ = true;
    if (pump_.joinable()) pump_.join();
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    if (inner_ >= 0) close(inner_);
    if (outer_ >= 0) close(outer_);
  }
  TlsTunnel(const TlsTunnel&) = delete;
  TlsTunnel& operator=(const TlsTunnel&) = delete;

  int fd() const { return fd_; }
  bool is_open() const { return is_open_; }

 private:
  void Pump() {
    sigset_t pipe;  // OpenSSL's own sockets know no MSG_NOSIGNAL
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    char bytes[1 << 14];
    for (bool goes_on = is_open_; goes_on && !ending_;) {
      pollfd ready[2] = {{inner_, POLLIN, 0}, {outer_, POLLIN, 0}};
      poll(ready, 2, 20);
      if (ready[0].revents != 0) {
        const ssize_t count = recv(inner_, bytes, sizeof bytes, 0);
        goes_on = count > 0 && SSL_write(ssl_, bytes, static_cast<int>(count)) > 0;
      }
      if (goes_on && ready[1].revents != 0) {
        do {
          const int count = SSL_read(ssl_, bytes, sizeof bytes);
          goes_on = count > 0 && send(inner_, bytes, static_cast<size_t>(count), MSG_NOSIGNAL) == count;
        } while (goes_on && SSL_pending(ssl_) > 0);
      }
    }
    shutdown(inner_, SHUT_RDWR);
    shutdown(outer_, SHUT_RDWR);
  }

  int outer_ = -1, inner_ = -1, fd_ = -1;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool is_open_ = false;
  std::atomic<bool> ending_ = false;
  std::thread pump_;
};

}  // namespace diptych
