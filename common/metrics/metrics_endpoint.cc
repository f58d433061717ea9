#include "common/metrics/metrics_endpoint.h"

#include <httplib.h>
#include <sys/socket.h>

#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/metrics/process_metrics.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace diptych {
namespace {

constexpr int kThreads = 2;  // one scraper, and somebody who looks
constexpr std::chrono::seconds kPatience(2);

}  // namespace

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
  auto server = std::make_unique<httplib::Server>();
  server->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server->set_keep_alive_max_count(1);
  server->set_keep_alive_timeout(kPatience.count());
  server->set_read_timeout(kPatience);
  server->set_write_timeout(kPatience);
  server->set_payload_max_length(1024);
  // The library's own would share the port with another process that asks for it too.
  server->set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  int port = address.port;
  if (port == 0) {
    port = server->bind_to_any_port(address.host);
  } else if (!server->bind_to_port(address.host, port)) {
    port = -1;
  }
  if (port <= 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen for metrics on ", address.ToString(),
                                               ": the address is in use, or not one of this machine"));
  }
  return std::unique_ptr<MetricsEndpoint>(
      new MetricsEndpoint({address.host, static_cast<uint16_t>(port)}, std::move(server)));
}

MetricsEndpoint::MetricsEndpoint(const Address& address, std::unique_ptr<httplib::Server> server)
    : address_(address), server_(std::move(server)) {
  Add(std::make_shared<ProcessMetrics>());
  server_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(Text(), "text/plain; version=0.0.4; charset=utf-8");
  });
  listening_ = std::thread([this] { server_->listen_after_bind(); });
  // A stop before it runs would be forgotten.
  while (!server_->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

MetricsEndpoint::~MetricsEndpoint() {
  server_->stop();
  listening_.join();
}

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
