#include "render_node/service/render_metrics.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "common/metrics/metric_family.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace diptych {
namespace {

constexpr std::array kEndStates = {JobState::kDone, JobState::kFailed, JobState::kCancelled};
constexpr std::array kLiveStates = {JobState::kQueued, JobState::kEncoding, JobState::kReady, JobState::kRendering,
                                    JobState::kDecoding};

// Clients by how many jobs wait for each: names would be a figure for every client that ever came.
struct ClientClass {
  const char* name;
  int64_t least;
};
constexpr std::array<ClientClass, 4> kClientClasses = {{{"1", 1}, {"2-9", 2}, {"10-99", 10}, {"100+", 100}}};

// "invalid_argument", and of what the queue has no room for whose room that is.
std::string ReasonOf(const absl::Status& why) {
  if (const auto limit = why.GetPayload(kLimitPayload)) return std::string(*limit) + "_limit";
  return absl::AsciiStrToLower(absl::StatusCodeToString(why.code()));
}

std::vector<prometheus::MetricFamily> QueueFamilies(const JobQueue::Census& queue) {
  std::vector<MetricValue> jobs, waiting, clients;
  for (const JobState state : kLiveStates) {
    jobs.push_back({{{"state", std::string(JobStateName(state))}}, static_cast<double>(queue.Count(state))});
  }
  for (const ClientClass& each : kClientClasses) {
    waiting.push_back({{{"jobs_of_client", each.name}}, 0});
    clients.push_back({{{"jobs_of_client", each.name}}, 0});
  }
  for (const int64_t own : queue.waiting_per_client) {
    size_t at = 0;
    while (at + 1 < kClientClasses.size() && own >= kClientClasses[at + 1].least) ++at;
    waiting[at].value += static_cast<double>(own);
    ++clients[at].value;
  }
  return {GaugeFamily("diptych_jobs", "Jobs that have not ended, by state", jobs),
          GaugeFamily("diptych_waiting_jobs", "Queued jobs, by how many their client has queued", waiting),
          GaugeFamily("diptych_waiting_clients", "Clients with queued jobs, by how many they have", clients)};
}

std::vector<prometheus::MetricFamily> EncoderFamilies(const std::vector<EncoderPool::Report>& encoders) {
  std::vector<MetricValue> up, in_flight;
  for (const EncoderPool::Report& encoder : encoders) {
    up.push_back({{{"address", encoder.address}}, encoder.state == EncoderState::kUp ? 1.0 : 0.0});
    in_flight.push_back({{{"address", encoder.address}}, static_cast<double>(encoder.in_flight)});
  }
  return {GaugeFamily("diptych_encoder_up", "1: the encoder answers, is loaded and has the right model", up),
          GaugeFamily("diptych_encoder_in_flight", "Prompts that this renderer has the encoder encode now", in_flight)};
}

std::vector<prometheus::MetricFamily> ConditioningFamilies(const ConditioningStore::Stats& stats) {
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  return {
      CounterFamily("diptych_conditioning_lookups_total", "Prompts looked for in the conditioning store",
                    {{{{"result", "memory_hit"}}, number(stats.memory_hits)},
                     {{{"result", "disk_hit"}}, number(stats.disk_hits)},
                     {{{"result", "miss"}}, number(stats.misses)}}),
      CounterFamily("diptych_conditioning_damaged_total", "Stored conditioning that was damaged and is encoded anew",
                    {{{}, number(stats.damaged)}}),
      CounterFamily("diptych_conditioning_disk_failures_total", "What the disk refused the conditioning store",
                    {{{}, number(stats.disk_failures)}}),
      GaugeFamily("diptych_conditioning_bytes", "Size of the conditioning store",
                  {{{{"part", "memory"}}, number(stats.memory_bytes)}, {{{"part", "disk"}}, number(stats.disk_bytes)}}),
      GaugeFamily("diptych_conditioning_entries", "Prompts in the conditioning store", {{{}, number(stats.entries)}})};
}

class LookedUp final : public prometheus::Collectable {
 public:
  explicit LookedUp(RenderMetricsSources sources) : sources_(std::move(sources)) {}
  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> all;
    const auto add = [&](std::vector<prometheus::MetricFamily> families) {
      std::move(families.begin(), families.end(), std::back_inserter(all));
    };
    if (sources_.queue) add(QueueFamilies(sources_.queue()));
    if (sources_.encoders) add(EncoderFamilies(sources_.encoders()));
    if (sources_.conditioning) add(ConditioningFamilies(sources_.conditioning()));
    return all;
  }

 private:
  const RenderMetricsSources sources_;
};

}  // namespace

struct RenderMetrics::Counts final : prometheus::Collectable {
  std::vector<prometheus::MetricFamily> Collect() const override { return registry.Collect(); }

  prometheus::Histogram& Stage(const char* stage) { return stages.Add({{"stage", stage}}, SecondsBuckets()); }

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& ended = prometheus::BuildCounter()
                                                       .Name("diptych_jobs_ended_total")
                                                       .Help("Jobs that have ended, by outcome")
                                                       .Register(registry);
  prometheus::Family<prometheus::Counter>& refused = prometheus::BuildCounter()
                                                         .Name("diptych_submissions_refused_total")
                                                         .Help("Submissions that became no job, by reason")
                                                         .Register(registry);
  prometheus::Family<prometheus::Histogram>& stages =
      prometheus::BuildHistogram()
          .Name("diptych_stage_seconds")
          .Help("How long the stages of jobs took; queue and total from acceptance on")
          .Register(registry);
  prometheus::Gauge& picture_bytes = prometheus::BuildGauge()
                                         .Name("diptych_pictures_bytes")
                                         .Help("Size of all kept pictures, counted once a minute")
                                         .Register(registry)
                                         .Add({});
  // What exists from the start shows as 0, so that its first increase is seen.
  prometheus::Histogram& queue = Stage("queue");
  prometheus::Histogram& encode = Stage("encode");
  prometheus::Histogram& transfer = Stage("transfer");
  prometheus::Histogram& refine = Stage("refine");
  prometheus::Histogram& step = Stage("step");
  prometheus::Histogram& decode = Stage("decode");
  prometheus::Histogram& png = Stage("png");
  prometheus::Histogram& total = Stage("total");
};

RenderMetrics::RenderMetrics() : counts_(std::make_shared<Counts>()) {
  for (const JobState state : kEndStates) counts_->ended.Add({{"outcome", std::string(JobStateName(state))}});
  for (const char* reason : {"queue_limit", "client_limit", "invalid_argument"})
    counts_->refused.Add({{"reason", reason}});
}

RenderMetrics::~RenderMetrics() = default;

void RenderMetrics::Ended(const Job& job) {
  counts_->ended.Add({{"outcome", std::string(JobStateName(job.state))}}).Increment();
  const JobTimings& timings = job.timings;
  const auto observe = [](prometheus::Histogram& stage, double ms) {
    if (ms > 0) stage.Observe(ms / 1000);  // 0: it has not run
  };
  if (job.attempt > 0) counts_->queue.Observe(timings.queue_ms / 1000);
  observe(counts_->encode, timings.encode_ms);
  observe(counts_->transfer, timings.transfer_ms);
  observe(counts_->png, timings.png_ms);
  if (job.state != JobState::kDone) return;
  counts_->total.Observe(timings.total_ms / 1000);
  counts_->picture_bytes.Increment(static_cast<double>(job.picture_bytes));
}

void RenderMetrics::Progressed(const RenderProgress& progress) {
  switch (progress.stage) {
    case RenderStage::kRefined:
      return counts_->refine.Observe(progress.ms / 1000);
    case RenderStage::kStep:
      // Its part of a step that several pictures took together: the sum is the renderer's time, whoever shared it.
      return counts_->step.Observe(progress.ms / 1000 / progress.together);
    case RenderStage::kTile:
      return;  // a part of kDecoded
    case RenderStage::kDecoded:
      return counts_->decode.Observe(progress.ms / 1000);
  }
}

void RenderMetrics::Refused(const absl::Status& why) { counts_->refused.Add({{"reason", ReasonOf(why)}}).Increment(); }

void RenderMetrics::PictureBytes(int64_t bytes_on_disk) {
  counts_->picture_bytes.Set(static_cast<double>(bytes_on_disk));
}

std::vector<std::shared_ptr<prometheus::Collectable>> RenderMetrics::Figures(RenderMetricsSources sources) const {
  return {counts_, std::make_shared<LookedUp>(std::move(sources))};
}

}  // namespace diptych
