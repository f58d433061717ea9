#include "common/metrics/metric_family.h"

namespace diptych {
namespace {

prometheus::MetricFamily Family(prometheus::MetricType type, std::string name, std::string help,
                                const std::vector<MetricValue>& values) {
  prometheus::MetricFamily family{std::move(name), std::move(help), type, {}};
  for (const auto& [labels, value] : values) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [label, text] : labels) metric.label.push_back({label, text});
    (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  }
  return family;
}

}  // namespace

prometheus::MetricFamily GaugeFamily(std::string name, std::string help, const std::vector<MetricValue>& values) {
  return Family(prometheus::MetricType::Gauge, std::move(name), std::move(help), values);
}

prometheus::MetricFamily CounterFamily(std::string name, std::string help, const std::vector<MetricValue>& values) {
  return Family(prometheus::MetricType::Counter, std::move(name), std::move(help), values);
}

std::vector<double> SecondsBuckets() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 180, 600};
}

}  // namespace diptych
