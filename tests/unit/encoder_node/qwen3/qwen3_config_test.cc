#include <string>

#include "common/error/error.h"
#include "encoder_node/qwen3/config.h"
#include "gtest/gtest.h"

namespace diptych::qwen3 {
namespace {

std::string ConfigWith(const std::string& extra) {
  return R"({"model_type": "qwen3", "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
             "intermediate_size": 96, "vocab_size": 100)" +
         extra + "}";
}

TEST(Qwen3Config, ReadsOldAndNewPlacesOfTheta) {
  EXPECT_EQ(Config::Parse(ConfigWith(R"(, "rope_theta": 5000000, "rope_scaling": null)"), "c").rope_theta, 5e6);
  EXPECT_EQ(Config::Parse(ConfigWith(R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 1000000})"), "c")
                .rope_theta,
            1e6);
}

TEST(Qwen3Config, TakesHeadDimFromTheFileAndFallsBackToTheQuotient) {
  EXPECT_EQ(Config::Parse(ConfigWith(R"(, "head_dim": 32)"), "c").head_dim, 32);
  EXPECT_EQ(Config::Parse(ConfigWith(""), "c").head_dim, 16);
}

TEST(Qwen3Config, RefusesWhatTheModelDoesNotDo) {
  for (const std::string extra :
       {R"(, "attention_bias": true)", R"(, "use_sliding_window": true)", R"(, "hidden_act": "gelu")",
        R"(, "rope_scaling": {"type": "yarn"})", R"(, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6})",
        R"(, "head_dim": 7)", R"(, "num_key_value_heads": 3)", R"(, "rms_norm_eps": -1e-6)"}) {
    EXPECT_THROW(Config::Parse(ConfigWith(extra), "c"), Error) << extra;
  }
  EXPECT_THROW(Config::Parse(R"({"model_type": "llama"})", "c"), Error);
}

}  // namespace
}  // namespace diptych::qwen3
