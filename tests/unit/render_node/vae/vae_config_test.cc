#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "render_node/vae/config.h"

namespace diptych::vae {
namespace {

std::string ConfigWith(const std::string& extra) {
  return R"({"_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 16,
             "scaling_factor": 0.3611, "shift_factor": 0.1159)" +
         extra + "}";
}

TEST(VaeConfig, ReadsTheFactsOfTheFluxVae) {
  const Config config = Config::Parse(ConfigWith(R"(, "use_post_quant_conv": false, "latents_mean": null)"), "c");
  EXPECT_EQ(config.scale(), 8);
  EXPECT_EQ(config.norm_num_groups, 32);
  EXPECT_EQ(config.scaling_factor, 0.3611);
  EXPECT_EQ(config.shift_factor, 0.1159);
}

TEST(VaeConfig, RefusesWhatTheDecoderDoesNotDo) {
  for (const std::string extra :
       {R"(, "use_post_quant_conv": true)", R"(, "mid_block_add_attention": false)", R"(, "act_fn": "relu")",
        R"(, "norm_num_groups": 48)", R"(, "out_channels": 4)", R"(, "scaling_factor": 0)"}) {
    EXPECT_THROW(Config::Parse(ConfigWith(extra), "c"), Error) << extra;
  }
}

}  // namespace
}  // namespace diptych::vae
