#include "common/metrics/metrics_endpoint.h"

#include <chrono>
#include <exception>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/metrics/process_metrics.h"
#include "common/net/listening_sockets.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace diptych {
namespace {

// A scraper or two, and somebody who looks.
HttpLimits Limits() {
  HttpLimits limits;
  limits.connections = 32;
  limits.connections_per_host = 16;
  limits.requests_per_connection = 1;             // who comes every 15 s needs no place in between
  limits.answer_time = std::chrono::seconds(10);  // Prometheus asks for so long
  return limits;
}

constexpr int kRestPerWork = 4;  // looking the figures up costs at most a fifth of a core

}  // namespace

absl::StatusOr<std::optional<Address>> ParseMetricsListen(std::string_view text, const Credentials& credentials) {
  if (text.empty()) return std::nullopt;
  const absl::StatusOr<Address> address = ParseListenAddress(text);
  if (!address.ok()) {
    return absl::Status(address.status().code(), absl::StrCat("--metrics-listen: ", address.status().message()));
  }
  const absl::Status allowed =
      CheckPlaintextAllowed(*address, credentials.insecure, "--metrics-listen: listening in plain text on");
  if (!allowed.ok()) return allowed;
  return *address;
}

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(const Address& listen) {
  std::unique_ptr<MetricsEndpoint> endpoint(new MetricsEndpoint);
  const absl::Status status = endpoint->Serve(listen);
  if (!status.ok()) return status;
  return endpoint;
}

MetricsEndpoint::MetricsEndpoint() { Add(std::make_shared<ProcessMetrics>()); }

absl::Status MetricsEndpoint::Serve(const Address& listen) {
  absl::StatusOr<ListeningSockets> sockets = ListeningSockets::Open(listen, "listen for metrics", "--metrics-listen");
  if (!sockets.ok()) return sockets.status();
  HttpRouter router;
  router.Add({.method = "GET", .path = "/metrics", .handler = [this](const HttpRequest&, HttpReply reply) {
                Ask(std::move(reply));
              }});
  absl::StatusOr<std::unique_ptr<HttpServer>> server =
      HttpServer::Start(*std::move(sockets), std::move(router), Limits());
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  try {
    worker_ = std::thread([this] { Work(); });
  } catch (const std::system_error& why) {
    return absl::UnavailableError(absl::StrCat("cannot serve metrics on ", address().ToString(), ": ", why.what()));
  }
  return absl::OkStatus();
}

MetricsEndpoint::~MetricsEndpoint() {
  server_.reset();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
}

std::string MetricsEndpoint::UrlsText() const {
  return absl::StrJoin(server_->addresses(), " and ", [](std::string* text, const Address& address) {
    absl::StrAppend(text, "http://", address.ToString(), "/metrics");
  });
}

void MetricsEndpoint::Ask(HttpReply reply) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(reply));
  changed_.notify_all();
}

void MetricsEndpoint::Work() {
  using Clock = std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) return;
    std::vector<HttpReply> askers = std::exchange(waiting_, {});
    lock.unlock();
    const Clock::time_point begin = Clock::now();
    try {
      const std::string text = Text();
      for (HttpReply& asker : askers) {
        asker.Send({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text});
      }
    } catch (const std::exception&) {  // no memory: who was not answered gets 500
    }
    askers.clear();
    const Clock::time_point end = Clock::now();
    lock.lock();
    changed_.wait_until(lock, end + kRestPerWork * (end - begin), [this] { return ending_; });
  }
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
