#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "render_node/vae/config.h"

namespace diptych::vae {
namespace {

std::string ConfigWith(const std::string& extra) {
  return R"({"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16,
             "scaling_factor": 0.3611, "shift_factor": 0.1159, "use_post_quant_conv": false,
             "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"])" +
         extra + "}";
}

TEST(VaeConfig, ReadsTheFactsOfTheFluxVae) {
  const Config config = Config::Parse(ConfigWith(R"(, "use_post_quant_conv": false, "latents_mean": null)"), "c");
  EXPECT_EQ(config.scale(), 8);
  EXPECT_EQ(config.norm_num_groups, 32);
  EXPECT_EQ(config.scaling_factor, 0.3611);
  EXPECT_EQ(config.shift_factor, 0.1159);
}

TEST(VaeConfig, WhatIsMissingIsAsInTheClassOfDiffusers) {
  const Config config = Config::Parse(R"({"use_post_quant_conv": false})", "c");
  EXPECT_EQ(config.block_out_channels, std::vector<int64_t>{64});
  EXPECT_EQ(config.layers_per_block, 1);
  EXPECT_EQ(config.latent_channels, 4);
  EXPECT_EQ(config.scaling_factor, 0.18215);
  EXPECT_THROW(Config::Parse("{}", "c"), Error) << "a missing use_post_quant_conv is true";
}

TEST(VaeConfig, NamesWhatItDoesNotKnow) {
  const Config config =
      Config::Parse(ConfigWith(R"(, "force_upcast": true, "latents_std": [1], "sample_size": 1024, "tiling": 3)"), "c");
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_EQ(config.warnings[0], "c: not known here and without effect: \"tiling\"");
  EXPECT_EQ(config.Identity(), Config::Parse(ConfigWith(""), "c").Identity());
  EXPECT_NE(config.Identity(), Config::Parse(ConfigWith(R"(, "scaling_factor": 0.5)"), "c").Identity());
}

TEST(VaeConfig, RefusesWhatTheDecoderDoesNotDo) {
  for (const std::string extra :
       {R"(, "use_post_quant_conv": true)", R"(, "mid_block_add_attention": false)", R"(, "act_fn": "relu")",
        R"(, "norm_num_groups": 48)", R"(, "out_channels": 4)", R"(, "up_block_types": ["UpDecoderBlock2D"])",
        R"(, "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "AttnUpDecoderBlock2D"])",
        R"(, "scaling_factor": 0)"}) {
    EXPECT_THROW(Config::Parse(ConfigWith(extra), "c"), Error) << extra;
  }
}

// It paints all the same, as before there was an encoder.
TEST(VaeConfig, SaysWhyTheEncoderIsNoneThatWeRun) {
  const std::string four =
      R"(, "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"])";
  EXPECT_EQ(Config::Parse(ConfigWith(four + R"(, "use_quant_conv": false)"), "c").no_encoder, "");
  EXPECT_EQ(Config::Parse(ConfigWith(four), "c").no_encoder,
            "c: \"use_quant_conv\" is missing, which means true; only false is supported");
  for (const std::string& extra :
       {four + R"(, "use_quant_conv": true)", std::string(R"(, "use_quant_conv": false)"),
        std::string(R"(, "use_quant_conv": false, "down_block_types": ["AttnDownEncoderBlock2D", "A", "B", "C"])"),
        std::string(R"(, "use_quant_conv": false, "down_block_types": 4)"),
        four + R"(, "use_quant_conv": false, "in_channels": 4)"}) {
    const Config config = Config::Parse(ConfigWith(extra), "c");
    EXPECT_NE(config.no_encoder, "") << extra;
    EXPECT_TRUE(config.warnings.empty()) << extra;
    EXPECT_EQ(config.Identity(), Config::Parse(ConfigWith(""), "c").Identity());
  }
}

}  // namespace
}  // namespace diptych::vae
