// Where Prometheus asks a daemon for its figures: GET /metrics over HTTP, by prometheus-cpp.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/address.h"

namespace prometheus {
class Collectable;
class Exposer;
}  // namespace prometheus

namespace diptych {

// What a daemon's metrics_listen means: nothing for the empty text. INVALID_ARGUMENT (no address), FAILED_PRECONDITION
// (plain text off loopback without `insecure`); both name the flag.
absl::StatusOr<std::optional<Address>> ParseMetricsListen(std::string_view text, bool insecure);

class MetricsEndpoint {
 public:
  // Listens, and tells of the process alone until more is added. UNAVAILABLE when the address cannot be had.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const Address& address);

  // Waits for the answers under way: afterwards nothing asks what was added.
  ~MetricsEndpoint();

  // Where it listens, with the real port.
  const Address& address() const { return address_; }

  // From now on an answer contains these figures. Collect is called on other threads, on several at once, and must not
  // throw.
  void Add(std::shared_ptr<prometheus::Collectable> figures);

 private:
  MetricsEndpoint(Address address, std::unique_ptr<prometheus::Exposer> exposer);

  Address address_;
  std::vector<std::shared_ptr<prometheus::Collectable>> figures_;  // the exposer does not own them
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace diptych
