#include "common/config/unknown_name.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(NearestKey, CountsEdits) {
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("abc", "abc"), 0u);
  EXPECT_EQ(EditDistance("widht", "width"), 1u);
  EXPECT_EQ(EditDistance("stpes", "steps"), 1u);
}

TEST(NearestKey, IsOnlyGivenWhenItIsNear) {
  EXPECT_EQ(NearestKey("steps", {"width", "height", "shift"}), std::nullopt);
  EXPECT_EQ(NearestKey("--frobnicate", {"--width", "--height", "-o"}), std::nullopt);
  EXPECT_EQ(NearestKey("-x", {"-o", "-v"}), std::nullopt);
  EXPECT_EQ(NearestKey("--sed", {"--steps", "--seed"}), "--seed");
  EXPECT_EQ(NearestKey("--widht", {"--height", "--width"}), "--width");
  EXPECT_EQ(NearestKey("anything", {}), std::nullopt);
  EXPECT_EQ(NearestKey("", {"width"}), std::nullopt);
}

TEST(NearestKey, OverlooksDashesUnderscoresAndTheSection) {
  EXPECT_EQ(NearestKey("-model_path", {"--vae-path", "--model-path"}), "--model-path");
  EXPECT_EQ(NearestKey("generation.hiden_layer", {"generation.width", "encoder.hidden_layer"}), "encoder.hidden_layer");
  EXPECT_EQ(NearestKey("render.thread", {"encoder.threads", "render.threads"}), "render.threads");
}

TEST(NearestKey, BareNamesAreComparable) {
  EXPECT_EQ(BareName("encoder.hidden_layer"), "hidden_layer");
  EXPECT_EQ(BareName("--hidden-layer"), "hidden_layer");
  EXPECT_EQ(BareName("--"), "");
  EXPECT_EQ(BareName(""), "");
}

}  // namespace
}  // namespace diptych
