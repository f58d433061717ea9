#include "common/conditioning/long_prompt.h"

#include <ATen/ATen.h>

#include <cmath>

#include "gtest/gtest.h"

namespace diptych {
namespace {

at::Tensor Rows(std::vector<float> values) {
  return at::tensor(values).reshape({static_cast<int64_t>(values.size()), 1});
}

TEST(FitRows, LeavesShortPromptsAlone) {
  const at::Tensor rows = at::rand({5, 3});
  for (const LongPromptMode mode : {LongPromptMode::kTruncate, LongPromptMode::kInterpolate, LongPromptMode::kPool,
                                    LongPromptMode::kAttentionPool}) {
    EXPECT_TRUE(FitRows(rows, 5, mode).equal(rows));
  }
}

TEST(FitRows, TruncateKeepsTheFirstRows) {
  EXPECT_TRUE(FitRows(Rows({1, 2, 3, 4}), 2, LongPromptMode::kTruncate).equal(Rows({1, 2})));
}

TEST(FitRows, InterpolateSamplesPositions0And2And4OfFive) {
  EXPECT_TRUE(FitRows(Rows({10, 20, 35, 40, 50}), 3, LongPromptMode::kInterpolate).equal(Rows({10, 35, 50})));
}

TEST(FitRows, InterpolateMixesNeighboursLinearly) {
  // Four rows to three: positions 0, 1.5, 3.
  EXPECT_TRUE(FitRows(Rows({0, 10, 20, 100}), 3, LongPromptMode::kInterpolate).allclose(Rows({0, 15, 100})));
  EXPECT_TRUE(FitRows(Rows({7, 8, 9}), 1, LongPromptMode::kInterpolate).equal(Rows({7})));
}

TEST(FitRows, PoolAveragesTheWindowsOfTheReference) {
  // L = 7, T = 3: windows [0,3) [2,5) [4,7).
  EXPECT_TRUE(FitRows(Rows({0, 1, 2, 3, 4, 5, 6}), 3, LongPromptMode::kPool).allclose(Rows({1, 3, 5})));
}

TEST(FitRows, AttentionPoolWeighsByUnlikenessInTheRegionsOfTheReference) {
  // Rows of equal direction: importance is the same everywhere, so each region [0,3) [2,5) [4,7) is averaged.
  EXPECT_TRUE(FitRows(Rows({1, 2, 3, 4, 5, 6, 7}), 3, LongPromptMode::kAttentionPool).allclose(Rows({2, 4, 6})));
}

TEST(FitRows, AttentionPoolPrefersTheRowThatStandsOut) {
  const at::Tensor rows = at::tensor({1.f, 0.f, 1.f, 0.f, 0.f, 1.f, 1.f, 0.f}).reshape({4, 2});
  // Importance by hand (neighbours within two): row 0: 1 - (1 + 0)/2 = .5; row 1: 1 - (1 + 0 + 1)/3 = 1/3; row 2: 1;
  // row 3: .5.
  const at::Tensor found = FitRows(rows, 2, LongPromptMode::kAttentionPool);  // regions [0,3) [2,4)
  const double e0 = std::exp(.5), e1 = std::exp(1.0 / 3), e2 = std::exp(1.0), e3 = std::exp(.5);
  const at::Tensor expected =
      at::tensor({(e0 + e1) / (e0 + e1 + e2), e2 / (e0 + e1 + e2), e3 / (e2 + e3), e2 / (e2 + e3)})
          .reshape({2, 2})
          .to(at::kFloat);
  EXPECT_TRUE(found.allclose(expected, 1e-5, 1e-6)) << found;
}

TEST(FitRows, KeepsTheDtypeAndStandsExtremeRatios) {
  const at::Tensor rows = at::rand({3000, 4}).to(at::kBFloat16);
  for (const LongPromptMode mode : {LongPromptMode::kTruncate, LongPromptMode::kInterpolate, LongPromptMode::kPool,
                                    LongPromptMode::kAttentionPool}) {
    for (const int64_t limit : {1, 500, 1000, 2999}) {
      const at::Tensor fitted = FitRows(rows, limit, mode);
      EXPECT_EQ(fitted.scalar_type(), at::kBFloat16);
      EXPECT_EQ(fitted.size(0), limit);
      EXPECT_TRUE(fitted.to(at::kFloat).isfinite().all().item<bool>());
    }
  }
}

}  // namespace
}  // namespace diptych
