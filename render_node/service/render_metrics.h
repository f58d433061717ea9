// What Prometheus hears of a renderer; docs/operations.md lists the names.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "render_node/conditioning/conditioning_store.h"
#include "render_node/conditioning/encoder_pool.h"
#include "render_node/jobs/job_queue.h"
#include "render_node/pipeline/picture_renderer.h"

namespace prometheus {
class Collectable;
}

namespace diptych {

// Asked at every scrape, on threads of the endpoint's; must not wait and must not throw.
struct RenderMetricsSources {
  std::function<JobQueue::Census()> queue;
  std::function<std::vector<EncoderPool::Report>()> encoders;
  std::function<ConditioningStore::Stats()> conditioning;
};

// Thread-safe. Everything counts from the start of the daemon.
class RenderMetrics {
 public:
  RenderMetrics();
  ~RenderMetrics();

  // Events; none of them throws.
  void Ended(const Job& job);  // JobQueue's `ended`
  void Progressed(const RenderProgress& progress);
  void Refused(const absl::Status& why);     // RenderServiceParts::refused
  void PictureBytes(int64_t bytes_on_disk);  // now and then; between, Ended adds

  // For a MetricsEndpoint: the events, and what `sources` say.
  std::vector<std::shared_ptr<prometheus::Collectable>> Figures(RenderMetricsSources sources) const;

 private:
  struct Counts;
  const std::shared_ptr<Counts> counts_;
};

}  // namespace diptych
