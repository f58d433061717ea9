#include "common/metrics/metrics_endpoint.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/metrics/process_metrics.h"
#include "prometheus/exposer.h"

namespace diptych {
namespace {

// A connection that is closed at once; whether it comes about is all the same.
void Knock(const Address& address) {
  addrinfo wanted = {};
  wanted.ai_family = AF_INET;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &wanted, &found) != 0) return;
  const int door = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (door >= 0) {
    (void)connect(door, found->ai_addr, found->ai_addrlen);
    close(door);
  }
  freeaddrinfo(found);
}

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
  std::unique_ptr<prometheus::Exposer> exposer;
  try {
    exposer = std::make_unique<prometheus::Exposer>(address.ToString());
  } catch (const std::exception&) {  // its text says nothing
  }
  const std::vector<int> ports = exposer ? exposer->GetListeningPorts() : std::vector<int>();
  if (ports.empty()) {
    return absl::UnavailableError(absl::StrCat("cannot listen for metrics on ", address.ToString(),
                                               ": the address is in use, not one of this machine, or "
                                               "IPv6 and the HTTP library was built without (Debian's is)"));
  }
  return std::unique_ptr<MetricsEndpoint>(
      new MetricsEndpoint({address.host, static_cast<uint16_t>(ports.front())}, std::move(exposer)));
}

MetricsEndpoint::MetricsEndpoint(Address address, std::unique_ptr<prometheus::Exposer> exposer)
    : address_(std::move(address)), exposer_(std::move(exposer)) {
  Add(std::make_shared<ProcessMetrics>());
}

// civetweb sees that it is to end when somebody comes, or else within two seconds.
MetricsEndpoint::~MetricsEndpoint() {
  std::atomic<bool> ended = false;
  std::thread knocking([&] {
    while (!ended) {
      Knock(address_);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  exposer_.reset();
  ended = true;
  knocking.join();
}

void MetricsEndpoint::Add(std::shared_ptr<prometheus::Collectable> figures) {
  exposer_->RegisterCollectable(figures);
  figures_.push_back(std::move(figures));
}

}  // namespace diptych
