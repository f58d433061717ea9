#include "render_node/pipeline/picture_renderer.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"

namespace diptych {
namespace {

RendererFacts Facts() {
  RendererFacts facts;
  facts.cap_feat_dim = 64;
  facts.row_limit = 1504;
  facts.max_side = 4096;
  return facts;
}

std::string RefusalOf(const RenderParameters& parameters) {
  try {
    CheckRenderParameters(parameters, Facts());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(CheckRenderParameters, AcceptsTheDefaults) { EXPECT_EQ(RefusalOf({}), ""); }

TEST(CheckRenderParameters, NamesTheSideThatIsNoMultiple) {
  EXPECT_EQ(RefusalOf({.width = 100}), "width 100 is not a multiple of 16 from 16 to 4096");
  EXPECT_EQ(RefusalOf({.height = 0}), "height 0 is not a multiple of 16 from 16 to 4096");
  EXPECT_EQ(RefusalOf({.height = -16}), "height -16 is not a multiple of 16 from 16 to 4096");
  EXPECT_EQ(RefusalOf({.width = 8192}), "width 8192 is more than 4096, the most that this renderer paints");
}

TEST(CheckRenderParameters, RefusesAbsurdSteps) {
  EXPECT_EQ(RefusalOf({.steps = 0}), "steps 0 is not from 1 to 1000");
  EXPECT_EQ(RefusalOf({.steps = 100000}), "steps 100000 is not from 1 to 1000");
}

TEST(CheckRenderParameters, TakesEverySeed) { EXPECT_EQ(RefusalOf({.seed = UINT64_MAX}), ""); }

TEST(CheckRenderParameters, RefusesShiftAndGuidanceThatAreNoSuchNumbers) {
  EXPECT_EQ(RefusalOf({.shift = 0}), "shift 0 is not a number from 0.001 to 1000");
  EXPECT_NE(RefusalOf({.shift = std::nan("")}), "");
  EXPECT_EQ(RefusalOf({.guidance_scale = -1}), "guidance_scale -1 is not a number from 0 to 1000");
  EXPECT_NE(RefusalOf({.guidance_scale = INFINITY}), "");
  EXPECT_EQ(RefusalOf({.shift = 1000}), "");
  EXPECT_NE(RefusalOf({.shift = 1e300}), "") << "a black picture is no answer";
  EXPECT_NE(RefusalOf({.shift = 1e-300}), "");
  EXPECT_EQ(RefusalOf({.cfg_truncation = 2}), "cfg_truncation 2 is not a number from 0 to 1");
}

TEST(CheckRenderParameters, RefusesAStrengthThatIsNoPart) {
  EXPECT_EQ(RefusalOf({.strength = 0}), "");
  EXPECT_EQ(RefusalOf({.strength = 1}), "");
  EXPECT_EQ(RefusalOf({.strength = 1.5}), "strength 1.5 is not a number from 0 to 1");
  EXPECT_EQ(RefusalOf({.strength = -0.25}), "strength -0.25 is not a number from 0 to 1");
  EXPECT_NE(RefusalOf({.strength = std::nan("")}), "");
}

TEST(Evaluations, AreAllStepsOrWhatTheStrengthLeaves) {
  EXPECT_EQ(Evaluations({.steps = 8, .strength = 0.6}, true), 5);
  EXPECT_EQ(Evaluations({.steps = 8, .strength = 0}, true), 0);
  EXPECT_EQ(Evaluations({.steps = 8}, true), 8);
  EXPECT_EQ(Evaluations({.steps = 8, .strength = 0.6}, false), 8) << "a strength of nothing";
}

std::string SourceRefusalOf(const Picture* source, const GreyPicture* mask, const std::string& no_encoder = "") {
  RendererFacts facts = Facts();
  facts.no_encoder = no_encoder;
  try {
    CheckSource({.width = 32, .height = 16}, source, mask, facts);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), no_encoder.empty() ? ErrorCode::kInvalidArgument : ErrorCode::kFailedPrecondition);
    return error.what();
  }
  return "";
}

TEST(CheckSource, WantsSourceAndMaskOfThePicturesSize) {
  const Picture source{32, 16, std::vector<uint8_t>(3 * 32 * 16)}, turned{16, 32, source.rgb}, grey{32, 16, {1, 2}};
  const GreyPicture mask{32, 16, std::vector<uint8_t>(32 * 16)}, small{8, 8, std::vector<uint8_t>(64)},
      none{32, 16, {}};
  EXPECT_EQ(SourceRefusalOf(nullptr, nullptr), "");
  EXPECT_EQ(SourceRefusalOf(&source, nullptr), "");
  EXPECT_EQ(SourceRefusalOf(&source, &mask), "");
  EXPECT_EQ(SourceRefusalOf(nullptr, &mask), "a mask needs a source: the picture that it keeps parts of");
  EXPECT_EQ(SourceRefusalOf(&turned, nullptr), "the source is 16x32, the picture 32x16: they must have one size");
  EXPECT_EQ(SourceRefusalOf(&source, &small), "the mask is 8x8, the picture 32x16: they must have one size");
  EXPECT_EQ(SourceRefusalOf(&grey, nullptr), "the source of 32x16 has 2 values instead of 1536");
  EXPECT_EQ(SourceRefusalOf(&source, &none), "the mask of 32x16 has 0 values instead of 512");
}

TEST(CheckSource, NamesWhatTheVaeLacks) {
  const Picture source{32, 16, std::vector<uint8_t>(3 * 32 * 16)};
  EXPECT_EQ(SourceRefusalOf(&source, nullptr, "no x"), "no picture can begin as another one here: no x");
  EXPECT_EQ(SourceRefusalOf(nullptr, nullptr, "no x"), "");
}

std::string ResumeRefusalOf(const LatentState& state) {
  try {
    CheckResume(state, 2, 3, 4, 5);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(CheckResume, AcceptsAnyStepOfThisPicture) {
  for (int32_t step = 0; step <= 5; ++step) {
    EXPECT_EQ(ResumeRefusalOf({step, 2, 3, 4, std::vector<float>(24)}), "") << step;
  }
}

TEST(CheckResume, NamesBothShapesAndBothSteps) {
  EXPECT_EQ(ResumeRefusalOf({1, 2, 4, 3, std::vector<float>(24)}),
            "cannot resume from a latent of 2 x 4 x 3: this picture's is 2 x 3 x 4");
  EXPECT_EQ(ResumeRefusalOf({1, 2, 3, 4, std::vector<float>(23)}),
            "cannot resume from 23 values: a latent of 2 x 3 x 4 has 24");
  EXPECT_EQ(ResumeRefusalOf({6, 2, 3, 4, std::vector<float>(24)}),
            "cannot resume after step 6: this picture has 5 steps");
  EXPECT_NE(ResumeRefusalOf({-1, 2, 3, 4, std::vector<float>(24)}), "");
}

TEST(CheckConditioningFits, NamesBothWidths) {
  ConditioningHeader header;
  header.model_fingerprint = std::string(64, 'a');
  header.rows = 10;
  header.width = 48;
  try {
    CheckConditioningFits(header, Facts());
    FAIL() << "a width of 48 was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
    EXPECT_NE(std::string(error.what()).find("48"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("64"), std::string::npos);
  }
  header.width = 64;
  CheckConditioningFits(header, Facts());
  header.rows = 1505;
  CheckConditioningFits(header, Facts());  // shortened when it is painted
}

}  // namespace
}  // namespace diptych
