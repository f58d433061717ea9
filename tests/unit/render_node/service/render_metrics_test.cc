#include "render_node/service/render_metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/cord.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace diptych {
namespace {

// "diptych_jobs{state=queued}" -> 3; a histogram as its _count and _sum.
std::map<std::string, double> Figures(const RenderMetrics& metrics, RenderMetricsSources sources = {}) {
  std::map<std::string, double> figures;
  for (const auto& collectable : metrics.Figures(std::move(sources))) {
    for (const prometheus::MetricFamily& family : collectable->Collect()) {
      for (const prometheus::ClientMetric& metric : family.metric) {
        std::string labels;
        for (const auto& label : metric.label) labels += (labels.empty() ? "{" : ",") + label.name + "=" + label.value;
        if (!labels.empty()) labels += "}";
        if (family.type == prometheus::MetricType::Histogram) {
          figures[family.name + "_count" + labels] = static_cast<double>(metric.histogram.sample_count);
          figures[family.name + "_sum" + labels] = metric.histogram.sample_sum;
        } else {
          const bool counts = family.type == prometheus::MetricType::Counter;
          figures[family.name + labels] = counts ? metric.counter.value : metric.gauge.value;
        }
      }
    }
  }
  return figures;
}

TEST(RenderMetrics, CountsHowJobsEndAndWhatTheirStagesTook) {
  RenderMetrics metrics;
  EXPECT_EQ(Figures(metrics).at("diptych_jobs_ended_total{outcome=failed}"), 0) << "there before the first";
  metrics.PictureBytes(1000);
  Job job;
  job.state = JobState::kDone;
  job.attempt = 1;
  job.picture_bytes = 234;
  job.timings = {.queue_ms = 500, .encode_ms = 0, .transfer_ms = 0, .png_ms = 250, .total_ms = 4000};
  metrics.Ended(job);
  job.state = JobState::kCancelled;
  job.attempt = 0;
  job.timings = {};
  metrics.Ended(job);
  const auto figures = Figures(metrics);
  EXPECT_EQ(figures.at("diptych_jobs_ended_total{outcome=done}"), 1);
  EXPECT_EQ(figures.at("diptych_jobs_ended_total{outcome=cancelled}"), 1);
  EXPECT_EQ(figures.at("diptych_jobs_ended_total{outcome=failed}"), 0);
  EXPECT_EQ(figures.at("diptych_stage_seconds_count{stage=queue}"), 1) << "the other was never begun";
  EXPECT_EQ(figures.at("diptych_stage_seconds_sum{stage=queue}"), 0.5);
  EXPECT_EQ(figures.at("diptych_stage_seconds_count{stage=encode}"), 0) << "from the store";
  EXPECT_EQ(figures.at("diptych_stage_seconds_count{stage=transfer}"), 0);
  EXPECT_EQ(figures.at("diptych_stage_seconds_sum{stage=png}"), 0.25);
  EXPECT_EQ(figures.at("diptych_stage_seconds_sum{stage=total}"), 4);
  EXPECT_EQ(figures.at("diptych_pictures_bytes"), 1234);
}

TEST(RenderMetrics, CountsStepsAsTheyEnd) {
  RenderMetrics metrics;
  metrics.Progressed({RenderStage::kRefined, 0, 9, 1, 20});
  for (int32_t step = 1; step <= 3; ++step) metrics.Progressed({RenderStage::kStep, step, 9, 0, 500});
  metrics.Progressed({RenderStage::kDecoded, 9, 9, 0, 80});
  const auto figures = Figures(metrics);
  EXPECT_EQ(figures.at("diptych_stage_seconds_count{stage=step}"), 3);
  EXPECT_EQ(figures.at("diptych_stage_seconds_sum{stage=step}"), 1.5);
  EXPECT_EQ(figures.at("diptych_stage_seconds_sum{stage=refine}"), 0.02);
  EXPECT_EQ(figures.at("diptych_stage_seconds_sum{stage=decode}"), 0.08);
}

TEST(RenderMetrics, SharesAStepOutAmongThePicturesThatTookIt) {
  RenderMetrics metrics;
  for (int member = 0; member < 4; ++member) {
    metrics.Progressed({.stage = RenderStage::kStep, .step = 1, .steps = 9, .ms = 2000, .together = 4});
  }
  const auto figures = Figures(metrics);
  EXPECT_EQ(figures.at("diptych_stage_seconds_count{stage=step}"), 4);
  EXPECT_EQ(figures.at("diptych_stage_seconds_sum{stage=step}"), 2) << "so long the renderer was busy";
}

TEST(RenderMetrics, SaysWhyNothingWasAccepted) {
  RenderMetrics metrics;
  metrics.Refused(absl::InvalidArgumentError("width"));
  metrics.Refused(absl::ResourceExhaustedError("disk full"));
  absl::Status full = absl::ResourceExhaustedError("the queue is full");
  full.SetPayload(kLimitPayload, absl::Cord("client"));
  metrics.Refused(full);
  metrics.Refused(full);
  const auto figures = Figures(metrics);
  EXPECT_EQ(figures.at("diptych_submissions_refused_total{reason=invalid_argument}"), 1);
  EXPECT_EQ(figures.at("diptych_submissions_refused_total{reason=resource_exhausted}"), 1);
  EXPECT_EQ(figures.at("diptych_submissions_refused_total{reason=client_limit}"), 2);
  EXPECT_EQ(figures.at("diptych_submissions_refused_total{reason=queue_limit}"), 0);
}

TEST(RenderMetrics, LooksUpQueueEncodersAndStore) {
  RenderMetricsSources sources;
  sources.queue = [] {
    JobQueue::Census census;
    census.jobs[static_cast<size_t>(JobState::kQueued)] = 123;
    census.jobs[static_cast<size_t>(JobState::kRendering)] = 1;
    census.waiting_per_client = {1, 2, 9, 10, 99, 100, 1};
    return census;
  };
  sources.encoders = [] {
    std::vector<EncoderPool::Report> encoders(2);
    encoders[0].address = "a:1";
    encoders[0].state = EncoderState::kUp;
    encoders[0].in_flight = 2;
    encoders[1].address = "b:1";
    encoders[1].state = EncoderState::kLoading;
    encoders[1].reachable = true;
    return encoders;
  };
  sources.conditioning = [] {
    ConditioningStore::Stats stats;
    stats.memory_hits = 1;
    stats.disk_hits = 2;
    stats.misses = 3;
    stats.damaged = 4;
    stats.disk_failures = 5;
    stats.memory_bytes = 6;
    stats.disk_bytes = 7;
    stats.entries = 8;
    return stats;
  };
  const auto figures = Figures(RenderMetrics(), sources);
  EXPECT_EQ(figures.at("diptych_jobs{state=queued}"), 123);
  EXPECT_EQ(figures.at("diptych_jobs{state=rendering}"), 1);
  EXPECT_EQ(figures.at("diptych_jobs{state=decoding}"), 0);
  EXPECT_EQ(figures.at("diptych_waiting_jobs{jobs_of_client=1}"), 2);
  EXPECT_EQ(figures.at("diptych_waiting_jobs{jobs_of_client=2-9}"), 11);
  EXPECT_EQ(figures.at("diptych_waiting_jobs{jobs_of_client=10-99}"), 109);
  EXPECT_EQ(figures.at("diptych_waiting_jobs{jobs_of_client=100+}"), 100);
  EXPECT_EQ(figures.at("diptych_waiting_clients{jobs_of_client=1}"), 2);
  EXPECT_EQ(figures.at("diptych_waiting_clients{jobs_of_client=100+}"), 1);
  EXPECT_EQ(figures.at("diptych_encoder_up{address=a:1}"), 1);
  EXPECT_EQ(figures.at("diptych_encoder_up{address=b:1}"), 0);
  EXPECT_EQ(figures.at("diptych_encoder_in_flight{address=a:1}"), 2);
  EXPECT_EQ(figures.at("diptych_conditioning_lookups_total{result=memory_hit}"), 1);
  EXPECT_EQ(figures.at("diptych_conditioning_lookups_total{result=disk_hit}"), 2);
  EXPECT_EQ(figures.at("diptych_conditioning_lookups_total{result=miss}"), 3);
  EXPECT_EQ(figures.at("diptych_conditioning_damaged_total"), 4);
  EXPECT_EQ(figures.at("diptych_conditioning_disk_failures_total"), 5);
  EXPECT_EQ(figures.at("diptych_conditioning_bytes{part=memory}"), 6);
  EXPECT_EQ(figures.at("diptych_conditioning_bytes{part=disk}"), 7);
  EXPECT_EQ(figures.at("diptych_conditioning_entries"), 8);
}

}  // namespace
}  // namespace diptych
