#include "common/metrics/metrics_endpoint.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/metrics/process_metrics.h"
#include "common/net/acceptor.h"
#include "common/net/listening_sockets.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace diptych {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kThreads = 2;  // one scraper, and somebody who looks
constexpr ConnectionLimits kLimits = {.in_all = 16, .per_host = 8};
constexpr milliseconds kPatience(2000);  // for a question and its answer
constexpr milliseconds kTick(50);        // how late the end is seen

// One connection, for as long as patience lasts.
class Connection final : public httplib::Stream {
 public:
  Connection(int fd, const std::atomic<bool>& ending) : fd_(fd), ending_(ending) {}
  ~Connection() override {
    ::shutdown(fd_, SHUT_WR);
    ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool is_readable() const override { return Await(POLLIN); }
  bool is_writable() const override { return Await(POLLOUT); }
  ssize_t read(char* bytes, size_t size) override { return Await(POLLIN) ? ::recv(fd_, bytes, size, 0) : -1; }
  ssize_t write(const char* bytes, size_t size) override {
    return Await(POLLOUT) ? ::send(fd_, bytes, size, MSG_NOSIGNAL) : -1;
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return fd_; }

 private:
  bool Await(short event) const {
    pollfd ready = {fd_, event, 0};
    while (!ending_ && Clock::now() < end_) {
      if (::poll(&ready, 1, static_cast<int>(kTick.count())) > 0) return true;
    }
    return false;
  }

  const int fd_;
  const std::atomic<bool>& ending_;
  const Clock::time_point end_ = Clock::now() + kPatience;
};

}  // namespace

// The library's parsing and answering. Its own listener ends for ever when a connection cannot be accepted, and holds
// any number of them in line.
class MetricsEndpoint::Server final : public httplib::Server {
 public:
  Server() { set_payload_max_length(1024); }
  ~Server() override {
    ending_ = true;
    acceptor_.reset();
    threads_.shutdown();
  }

  void Accept(ListeningSockets sockets) {
    acceptor_ = std::make_unique<Acceptor>(
        std::move(sockets),
        AcceptorOptions{.limits = kLimits,
                        .limits_hint = "",
                        .serve = [this](int, int fd) { threads_.enqueue([this, fd] { Serve(fd); }); },
                        .warn = nullptr});
  }

 private:
  void Serve(int fd) {
    Connection connection(fd, ending_);
    bool closed = false;
    process_request(connection, /*close_connection=*/true, closed, nullptr);
  }

  std::atomic<bool> ending_ = false;
  httplib::ThreadPool threads_{kThreads};
  std::unique_ptr<Acceptor> acceptor_;
};

absl::StatusOr<std::optional<Address>> ParseMetricsListen(std::string_view text, bool insecure) {
  if (text.empty()) return std::nullopt;
  const absl::StatusOr<Address> address = ParseListenAddress(text);
  if (!address.ok()) {
    return absl::Status(address.status().code(), absl::StrCat("--metrics-listen: ", address.status().message()));
  }
  const absl::Status allowed = CheckPlaintextAllowed(*address, insecure, "--metrics-listen: listening on");
  if (!allowed.ok()) return allowed;
  return *address;
}

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(const Address& address) {
  absl::StatusOr<ListeningSockets> sockets = ListeningSockets::Open(address, "listen for metrics", "--metrics-listen");
  if (!sockets.ok()) return sockets.status();
  std::unique_ptr<MetricsEndpoint> endpoint(new MetricsEndpoint(sockets->addresses().front()));
  endpoint->server_->Accept(*std::move(sockets));
  return endpoint;
}

MetricsEndpoint::MetricsEndpoint(const Address& address) : address_(address), server_(std::make_unique<Server>()) {
  Add(std::make_shared<ProcessMetrics>());
  server_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(Text(), "text/plain; version=0.0.4; charset=utf-8");
  });
}

MetricsEndpoint::~MetricsEndpoint() = default;

void MetricsEndpoint::Add(std::shared_ptr<prometheus::Collectable> figures) {
  const std::lock_guard lock(mutex_);
  figures_.push_back(std::move(figures));
}

std::string MetricsEndpoint::Text() const {
  std::vector<std::shared_ptr<prometheus::Collectable>> all;
  {
    const std::lock_guard lock(mutex_);
    all = figures_;
  }
  std::vector<prometheus::MetricFamily> families;
  for (const auto& figures : all) {
    std::vector<prometheus::MetricFamily> more = figures->Collect();
    std::move(more.begin(), more.end(), std::back_inserter(families));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace diptych
