#include "common/metrics/metrics_endpoint.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "common/metrics/metric_family.h"
#include "prometheus/collectable.h"
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

TEST(MetricsEndpoint, AnswersAgainAfterACrowdThatSaidNothing) {
  const auto endpoint = MetricsEndpoint::Start({"127.0.0.1", 0});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const uint16_t port = (*endpoint)->address().port;
  std::vector<int> crowd;
  for (int i = 0; i < 40; ++i) {
    crowd.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(crowd.back(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  for (const int connection : crowd) close(connection);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (Scrape(port).empty() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(Scrape(port).empty());
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
  EXPECT_EQ(*ParseMetricsListen("", false), std::nullopt);
  EXPECT_EQ(*ParseMetricsListen("127.0.0.1:9", false), (Address{"127.0.0.1", 9}));
  EXPECT_EQ(*ParseMetricsListen("0.0.0.0:9", true), (Address{"0.0.0.0", 9}));
  for (const char* text : {"0.0.0.0:9", "9", "nonsense"}) {
    const auto refused = ParseMetricsListen(text, false);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_NE(std::string(refused.status().message()).find("--metrics-listen"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace diptych
