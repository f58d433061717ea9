// Figures that are looked up when Prometheus asks for them, as prometheus-cpp hands them on.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "prometheus/metric_family.h"

namespace diptych {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

struct MetricValue {
  MetricLabels labels;
  double value = 0;
};

prometheus::MetricFamily GaugeFamily(std::string name, std::string help, const std::vector<MetricValue>& values);
// For what only grows, and begins anew with the daemon; the name ends in _total.
prometheus::MetricFamily CounterFamily(std::string name, std::string help, const std::vector<MetricValue>& values);

// Upper ends for how long something took, in seconds: a millisecond to ten minutes.
std::vector<double> SecondsBuckets();

}  // namespace diptych
