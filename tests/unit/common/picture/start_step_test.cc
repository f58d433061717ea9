#include "common/picture/start_step.h"

#include <gtest/gtest.h>

namespace diptych {
namespace {

// Counted calls of the transformer in diffusers 0.42.1's pipeline.
TEST(FirstStep, LeavesAsManyEvaluationsAsDiffusers) {
  const struct {
    int32_t steps;
    double strength;
    int32_t evaluations;
  } counted[] = {{8, 0.05, 1}, {8, 0.1, 1}, {8, 0.3, 3}, {8, 0.6, 5}, {8, 0.7, 6},  {8, 1.0, 8}, {9, 0.6, 6},
                 {9, 0.7, 7},  {4, 1.0, 4}, {1, 0.5, 1}, {1, 1.0, 1}, {10, 0.3, 3}, {8, 0.0, 0}};
  for (const auto& [steps, strength, evaluations] : counted) {
    EXPECT_EQ(steps - FirstStep(steps, strength), evaluations) << steps << " steps at " << strength;
  }
}

// 10 * 0.7 is 7 and 100 * 0.29 less than 29 in double: the product decides, not the decimal fraction.
TEST(FirstStep, IsThatOfTheProductInDouble) {
  for (int32_t steps = 1; steps <= 1000; ++steps) {
    for (const double strength : {0.1, 0.29, 0.3, 0.55, 0.6, 0.7, 0.9}) {
      const int32_t first = FirstStep(steps, strength);
      EXPECT_LE(first, steps - steps * strength);
      EXPECT_GT(first + 1, steps - steps * strength);
    }
    EXPECT_EQ(FirstStep(steps, 0), steps);
    EXPECT_EQ(FirstStep(steps, 1), 0);
  }
}

}  // namespace
}  // namespace diptych
