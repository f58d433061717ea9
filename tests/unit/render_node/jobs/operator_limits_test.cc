#include "render_node/jobs/operator_limits.h"

#include <string>

#include "common/conditioning/token_limit.h"
#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string Refusal(const RenderParameters& parameters, const OperatorLimits& limits) {
  try {
    CheckAllowed(parameters, limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(OperatorLimits, AllowEverythingUnlessTheyAreSet) {
  EXPECT_EQ(Refusal({.width = 16384, .height = 16384, .steps = 1000}, {}), "");
}

TEST(OperatorLimits, CountPixelsWhateverTheirShape) {
  const OperatorLimits limits{.pixels = 1024 * 1024};
  EXPECT_EQ(Refusal({.width = 1024, .height = 1024}, limits), "");
  EXPECT_EQ(Refusal({.width = 2048, .height = 512}, limits), "");
  EXPECT_EQ(Refusal({.width = 1040, .height = 1024}, limits),
            "a picture of 1040x1024 has 1064960 pixels; this renderer allows at most 1048576 (render.max_pixels)");
  EXPECT_NE(Refusal({.width = 16384, .height = 16384}, limits), "");
}

TEST(OperatorLimits, NameBothNumbersOfSteps) {
  EXPECT_EQ(Refusal({.steps = 12}, {.steps = 12}), "");
  EXPECT_EQ(Refusal({.steps = 13}, {.steps = 12}),
            "13 steps are asked for; this renderer allows at most 12 (render.max_steps)");
}

TEST(OperatorLimits, NameBothNumbersOfTokens) {
  CheckTokenLimit("prompt", 1'000'000, 0);
  CheckTokenLimit("prompt", 77, 77);
  try {
    CheckTokenLimit("negative prompt", 78, 77);
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(),
                 "the negative prompt has 78 tokens; this renderer allows at most 77 (render.max_prompt_tokens)");
  }
}

TEST(OperatorLimits, AreKnownAgainInAnEncodersWords) {
  const std::string said =
      "encoder 10.0.0.1:1: the prompt has 78 tokens; this renderer allows at most 77 (render.max_prompt_tokens)";
  EXPECT_EQ(TokensRefused(said, 77), 78);
  EXPECT_EQ(TokensRefused(said, 76), std::nullopt) << "of somebody else's limit";
  EXPECT_EQ(TokensRefused(said, 0), std::nullopt);
  for (const char* other : {"", "the prompt has ", "the prompt has x", "the prompt has 78", "the prompt has 78 tokens",
                            "the prompt has 99999999999999999999 tokens; this renderer allows at most 77 "
                            "(render.max_prompt_tokens)",
                            "the prompt has 5 tokens; this renderer allows at most 77 (render.max_prompt_tokens)"}) {
    EXPECT_EQ(TokensRefused(other, 77), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace diptych
