#include "common/metrics/metrics_endpoint.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "common/metrics/metric_family.h"
#include "prometheus/collectable.h"
#include "tests/support/raw_http.h"
#include "tests/support/scrape.h"

namespace diptych {
namespace {

class Counting final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    ++asked;
    return {GaugeFamily("diptych_test", "A figure", {{{{"side", "left \"hand\"\n"}}, 1.5}, {{{"side", "right"}}, -2}}),
            CounterFamily("diptych_test_total", "Another", {{{}, static_cast<double>(asked)}})};
  }
  mutable std::atomic<int> asked = 0;
};

TEST(MetricsEndpoint, AnswersWithFiguresThatAreLookedUpEachTime) {
  const auto endpoint = MetricsEndpoint::Start({"127.0.0.1", 0});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const uint16_t port = (*endpoint)->address().port;
  ASSERT_NE(port, 0);
  const auto figures = std::make_shared<Counting>();
  (*endpoint)->Add(figures);
  std::map<std::string, double> seen = Scrape(port);
  EXPECT_EQ(seen.at("diptych_test{side=\"left \\\"hand\\\"\\n\"}"), 1.5);
  EXPECT_EQ(seen.at("diptych_test{side=\"right\"}"), -2);
  EXPECT_EQ(seen.at("diptych_test_total"), 1);
  EXPECT_GT(seen.at("diptych_process_resident_memory_bytes"), 1e6);
  EXPECT_GE(seen.at("diptych_process_threads"), 3) << "the endpoint's";
  EXPECT_EQ(Scrape(port).at("diptych_test_total"), 2);
  const std::string text = HttpGet(port, "/metrics");
  EXPECT_NE(text.find("# TYPE diptych_test gauge\n"), std::string::npos) << text;
  EXPECT_NE(text.find("# TYPE diptych_test_total counter\n"), std::string::npos) << text;
  EXPECT_NE(text.find("# HELP diptych_test A figure\n"), std::string::npos) << text;
}

TEST(MetricsEndpoint, ServesNothingElse) {
  const auto endpoint = MetricsEndpoint::Start({"127.0.0.1", 0});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  for (const char* path : {"/", "/etc/passwd", "/../../../../etc/passwd", "/metrics/../etc/passwd"}) {
    const std::string answer = HttpGet((*endpoint)->address().port, path);
    EXPECT_EQ(answer.find("root:"), std::string::npos) << path;
    EXPECT_EQ(answer.rfind("HTTP/1.1 4", 0), 0u) << path << "\n" << answer;
  }
}

// Slow ones and silent ones, and one that asks for the same bytes again and again.
TEST(MetricsEndpoint, AnswersBesideACrowd) {
  const auto endpoint = MetricsEndpoint::Start({"127.0.0.1", 0});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const uint16_t port = (*endpoint)->address().port;
  const auto threads = Scrape(port).at("diptych_process_threads");
  std::vector<RawHttp> crowd;
  for (int i = 0; i < 300; ++i) {
    crowd.emplace_back(port);
    if (i % 2 == 0) crowd.back().Send("GET /metrics HTTP/1.1\r\nX: ");
  }
  for (int i = 0; i < 10; ++i) {
    for (RawHttp& slow : crowd) slow.Send("x");
    const auto begin = std::chrono::steady_clock::now();
    const std::map<std::string, double> figures = Scrape(port);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
    ASSERT_FALSE(figures.empty());
    EXPECT_EQ(figures.at("diptych_process_threads"), threads);
  }
  RawHttp greedy(port);
  std::string ranges = "bytes=0-";
  for (int i = 0; i < 2000; ++i) ranges += ",0-";
  greedy.Send("GET /metrics HTTP/1.1\r\nRange: " + ranges + "\r\n\r\n");
  EXPECT_LT(greedy.ReadAll().size(), 10'000u);
  RawHttp many(port);
  for (int i = 0; i < 100; ++i) many.Send("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_LT(many.ReadAll().size(), 10'000u) << "one answer a connection";
}

// However many ask, the figures are looked up for all that wait together.
TEST(MetricsEndpoint, LooksFiguresUpForAFifthOfTheTime) {
  class Slow final : public prometheus::Collectable {
   public:
    std::vector<prometheus::MetricFamily> Collect() const override {
      ++asked;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      return {};
    }
    mutable std::atomic<int> asked = 0;
  };
  const auto endpoint = MetricsEndpoint::Start({"127.0.0.1", 0});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const auto figures = std::make_shared<Slow>();
  (*endpoint)->Add(figures);
  std::vector<RawHttp> askers;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 12; ++i) {
    askers.emplace_back((*endpoint)->address().port);
    askers.back().Send("GET /metrics HTTP/1.1\r\n\r\n");
    if (i % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(150));  // not all at once
  }
  for (RawHttp& asker : askers) EXPECT_EQ(asker.ReadAll().rfind("HTTP/1.1 200 ", 0), 0u);
  const auto periods = (std::chrono::steady_clock::now() - begin) / std::chrono::milliseconds(500);
  EXPECT_LE(figures->asked, periods + 1);
  EXPECT_LE(figures->asked, 4);
}

TEST(MetricsEndpoint, NamesEveryAddressOfItsName) {
  const auto endpoint = MetricsEndpoint::Start({"localhost", 0});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const std::string port = std::to_string((*endpoint)->address().port);
  const std::string text = (*endpoint)->UrlsText();
  EXPECT_TRUE(text == "http://127.0.0.1:" + port + "/metrics" ||
              text == "http://127.0.0.1:" + port + "/metrics and http://[::1]:" + port + "/metrics")
      << text;
}

TEST(MetricsEndpoint, AsksNothingAfterItsEnd) {
  auto endpoint = MetricsEndpoint::Start({"127.0.0.1", 0});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const uint16_t port = (*endpoint)->address().port;
  const auto figures = std::make_shared<Counting>();
  (*endpoint)->Add(figures);
  endpoint->reset();
  EXPECT_TRUE(Scrape(port).empty());
  EXPECT_EQ(figures->asked, 0);
  EXPECT_EQ(figures.use_count(), 1);
}

TEST(MetricsEndpoint, SaysThatItsAddressIsTaken) {
  const auto first = MetricsEndpoint::Start({"127.0.0.1", 0});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = MetricsEndpoint::Start((*first)->address());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(second.status().message()).find((*first)->address().ToString()), std::string::npos);
}

TEST(ParseMetricsListen, IsNothingOrALoopbackAddressUnlessTold) {
  EXPECT_EQ(*ParseMetricsListen("", {}), std::nullopt);
  EXPECT_EQ(*ParseMetricsListen("127.0.0.1:9", {}), (Address{"127.0.0.1", 9}));
  EXPECT_EQ(*ParseMetricsListen("0.0.0.0:9", {.insecure = true}), (Address{"0.0.0.0", 9}));
  for (const char* text : {"0.0.0.0:9", "9", "nonsense"}) {
    const auto refused = ParseMetricsListen(text, {});
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_NE(std::string(refused.status().message()).find("--metrics-listen"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace diptych
