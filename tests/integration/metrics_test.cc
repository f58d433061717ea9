// What Prometheus gets from the real daemons. Its threads share a process with libtorch here, as in no other test.
#include <map>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/support/scrape.h"

namespace diptych::integration {
namespace {

uint16_t MetricsPort(const Daemon& daemon) {
  const std::string where = "metrics at http://127.0.0.1:";
  Await("the daemon says where its metrics are", [&] { return daemon.Log().find("/metrics\n") != std::string::npos; });
  const std::string log = daemon.Log();
  return static_cast<uint16_t>(std::stoi(log.substr(log.find(where) + where.size())));
}

TEST(Metrics, CountAPictureOnItsWayThroughBothDaemons) {
  const Scratch scratch;
  const std::string model = ToyPath("toy_a");
  Daemon encoder = StartEncoder(model, {"--threads", "1", "--metrics-listen", "127.0.0.1:0"});
  Daemon renderer =
      StartRenderer(model, encoder.address(), scratch / "state", {"--threads", "1", "--metrics-listen", "127.0.0.1:0"});
  const uint16_t encoder_port = MetricsPort(encoder), renderer_port = MetricsPort(renderer);
  EXPECT_EQ(Scrape(encoder_port)["diptych_prompts_total{outcome=\"ok\"}"], 0);
  const auto paint = [&](const char* seed) {
    const Outcome outcome = Diptych({"generate", "a cat", "--render", renderer.address(), "--width", "64", "--height",
                                     "64", "--steps", "2", "--seed", seed, "--output", scratch / "cat.png"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  };
  paint("1");
  paint("2");
  std::map<std::string, double> figures = Scrape(encoder_port);
  EXPECT_EQ(figures["diptych_prompts_total{outcome=\"ok\"}"], 1) << "the second prompt was stored";
  EXPECT_EQ(figures["diptych_encode_seconds_count"], 1);
  figures = Scrape(renderer_port);
  EXPECT_EQ(figures["diptych_jobs_ended_total{outcome=\"done\"}"], 2);
  EXPECT_EQ(figures["diptych_stage_seconds_count{stage=\"step\"}"], 4);
  for (const char* stage : {"queue", "refine", "decode", "png", "total"}) {
    EXPECT_EQ(figures["diptych_stage_seconds_count{stage=\"" + std::string(stage) + "\"}"], 2) << stage;
  }
  EXPECT_EQ(figures["diptych_stage_seconds_count{stage=\"encode\"}"], 1);
  EXPECT_EQ(figures["diptych_stage_seconds_count{stage=\"transfer\"}"], 1);
  EXPECT_EQ(figures["diptych_conditioning_lookups_total{result=\"memory_hit\"}"], 1);
  EXPECT_EQ(figures["diptych_encoder_up{address=\"" + encoder.address() + "\"}"], 1);
  EXPECT_GT(figures["diptych_pictures_bytes"], 100);
  EXPECT_EQ(renderer.Stop(), 0);
  EXPECT_EQ(encoder.Stop(), 0);
}

}  // namespace
}  // namespace diptych::integration
