// Where Prometheus asks a daemon for its figures: GET /metrics over HTTP.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/address.h"

namespace prometheus {
class Collectable;
}

namespace diptych {

// What a daemon's metrics_listen means: nothing for the empty text. INVALID_ARGUMENT (no address), FAILED_PRECONDITION
// (plain text off loopback without `insecure`); both name the flag.
absl::StatusOr<std::optional<Address>> ParseMetricsListen(std::string_view text, bool insecure);

// prometheus-cpp's own exposer stands on civetweb, whose threads have stacks of 100 KiB: with libtorch and OpenBLAS in
// the process their thread-local storage alone is larger, and not one of them can be started. So: cpp-httplib.
class MetricsEndpoint {
 public:
  // Listens, and tells of the process alone until more is added. Fails as ListeningSockets does.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const Address& address);

  // Waits for the answers under way: afterwards nothing asks what was added.
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  // Where it listens, with the real port.
  const Address& address() const { return address_; }

  // From now on an answer contains these figures. Collect is called on other threads, on several at once, and must not
  // throw.
  void Add(std::shared_ptr<prometheus::Collectable> figures);

 private:
  class Server;

  explicit MetricsEndpoint(const Address& address);
  std::string Text() const;

  const Address address_;
  mutable std::mutex mutex_;  // guards the figures
  std::vector<std::shared_ptr<prometheus::Collectable>> figures_;
  const std::unique_ptr<Server> server_;
};

}  // namespace diptych
