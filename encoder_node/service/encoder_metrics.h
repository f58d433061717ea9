// What Prometheus hears of an encoder; docs/operations.md lists the names.
#pragma once

#include <memory>

#include "encoder_node/service/encoder_service.h"

namespace prometheus {
class Collectable;
}

namespace diptych {

// Thread-safe. Everything counts from the start of the daemon.
class EncoderMetrics {
 public:
  EncoderMetrics();
  ~EncoderMetrics();

  void Ended(const EncodeReport& report);  // EncoderServiceOptions::ended

  std::shared_ptr<prometheus::Collectable> figures() const;  // for a MetricsEndpoint

 private:
  struct Counts;
  const std::shared_ptr<Counts> counts_;
};

}  // namespace diptych
