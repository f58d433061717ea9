#include "render_node/sampler/flow_match.h"

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"

namespace diptych::sampler {
namespace {

float FromBits(const std::string& hex) {
  const uint32_t bits = static_cast<uint32_t>(std::stoul(hex, nullptr, 16));
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

TEST(FlowMatch, SigmasAndTimesEqualDiffusersBitForBit) {
  std::ifstream file(DIPTYCH_SOURCE_DIR "/tests/parity/data/golden_schedule.json");
  const nlohmann::json schedules = nlohmann::json::parse(file);
  ASSERT_GE(schedules.size(), 20u);
  for (const auto& schedule : schedules) {
    const int steps = schedule["steps"];
    const std::vector<float> sigmas = FlowMatchSigmas(steps, schedule["shift"]);
    ASSERT_EQ(sigmas.size(), schedule["sigmas"].size());
    for (int i = 0; i <= steps; ++i)
      EXPECT_EQ(sigmas[i], FromBits(schedule["sigmas"][i])) << steps << " steps, sigma " << i;
    for (int i = 0; i < steps; ++i)
      EXPECT_EQ(ModelTime(sigmas[i]), FromBits(schedule["t_in"][i])) << steps << " steps, time " << i;
  }
}

TEST(FlowMatch, NineStepsWithShiftThreeAreThePublishedTable) {
  const std::vector<float> sigmas = FlowMatchSigmas(9, 3.0);
  const float table[] = {1, 0.96f, 0.913043f, 0.857143f, 0.789474f, 0.705882f, 0.6f, 0.461538f, 0.272727f, 0};
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(sigmas[i], table[i], 1e-6);
}

TEST(FlowMatch, ShiftIsAlwaysHonoured) { EXPECT_NE(FlowMatchSigmas(8, 3.0)[4], FlowMatchSigmas(8, 2.0)[4]); }

}  // namespace
}  // namespace diptych::sampler
