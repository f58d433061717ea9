#include "encoder_node/service/encoder_metrics.h"

#include <string>

#include "absl/strings/ascii.h"
#include "common/metrics/metric_family.h"
#include "prometheus/counter.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace diptych {

struct EncoderMetrics::Counts final : prometheus::Collectable {
  std::vector<prometheus::MetricFamily> Collect() const override { return registry.Collect(); }

  prometheus::Counter& Counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  }
  prometheus::Histogram& Seconds(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, SecondsBuckets());
  }

  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& prompts =
      prometheus::BuildCounter().Name("diptych_prompts_total").Help("Prompts asked for, by outcome").Register(registry);
  prometheus::Counter& tokens = Counter("diptych_prompt_tokens_total", "Tokens of the prompts that were encoded");
  prometheus::Counter& refused_bytes =
      Counter("diptych_refused_prompt_bytes_total", "Size of the requests that were refused as invalid");
  prometheus::Histogram& encode =
      Seconds("diptych_encode_seconds", "How long formatting and encoding a prompt took, without waiting");
  prometheus::Histogram& wait = Seconds("diptych_encode_wait_seconds", "How long a prompt waited for those before it");
};

EncoderMetrics::EncoderMetrics() : counts_(std::make_shared<Counts>()) {
  // What exists from the start shows as 0, so that its first increase is seen.
  for (const char* outcome : {"ok", "cancelled", "invalid_argument", "internal"}) {
    counts_->prompts.Add({{"outcome", outcome}});
  }
}

EncoderMetrics::~EncoderMetrics() = default;

void EncoderMetrics::Ended(const EncodeReport& report) {
  const std::string outcome = absl::AsciiStrToLower(absl::StatusCodeToString(report.code));
  counts_->prompts.Add({{"outcome", outcome}}).Increment();
  counts_->refused_bytes.Increment(static_cast<double>(report.refused_bytes));
  counts_->tokens.Increment(static_cast<double>(report.tokens));
  if (report.encode_ms <= 0) return;
  counts_->encode.Observe(report.encode_ms / 1000);
  counts_->wait.Observe(report.waited_ms / 1000);
}

std::shared_ptr<prometheus::Collectable> EncoderMetrics::figures() const { return counts_; }

}  // namespace diptych
