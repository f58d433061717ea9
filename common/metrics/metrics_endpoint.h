// Where Prometheus asks a daemon for its figures: GET /metrics over HTTP.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/reply.h"
#include "common/http/server.h"
#include "common/net/address.h"
#include "common/net/credentials.h"

namespace prometheus {
class Collectable;
}

namespace diptych {

// What a daemon's metrics_listen means: nothing for the empty text. INVALID_ARGUMENT (no address), FAILED_PRECONDITION
// (off loopback without `insecure`: the metrics are plain text, whatever else the credentials hold); both name the
// flag.
absl::StatusOr<std::optional<Address>> ParseMetricsListen(std::string_view text, const Credentials& credentials);

// prometheus-cpp's own exposer stands on civetweb, whose threads have stacks of 100 KiB: with libtorch and OpenBLAS in
// the process their thread-local storage alone is larger, and not one of them can be started. So: our own HttpServer.
class MetricsEndpoint {
 public:
  // Listens, and tells of the process alone until more is added. Fails as ListeningSockets and HttpServer do.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const Address& listen);

  // Afterwards nothing asks what was added. An answer under way is not sent.
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  // Where it listens, with the real port: the first address.
  const Address& address() const { return server_->addresses().front(); }
  // "http://127.0.0.1:9872/metrics and http://[::1]:9872/metrics"
  std::string UrlsText() const;

  // From now on an answer contains these figures. Collect is called on one thread of the endpoint's and must not throw.
  // However many ask, it is called once for all that wait, and not for more than a fifth of the time.
  void Add(std::shared_ptr<prometheus::Collectable> figures);

 private:
  MetricsEndpoint();
  absl::Status Serve(const Address& listen);
  void Ask(HttpReply reply);
  void Work();
  std::string Text() const;

  mutable std::mutex mutex_;  // guards what follows
  std::vector<std::shared_ptr<prometheus::Collectable>> figures_;
  std::condition_variable changed_;
  std::vector<HttpReply> waiting_;
  bool ending_ = false;

  std::unique_ptr<HttpServer> server_;
  std::thread worker_;
};

}  // namespace diptych
