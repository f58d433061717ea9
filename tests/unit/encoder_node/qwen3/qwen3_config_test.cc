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

// Each was read with AutoConfig of transformers 5.23, which makes plain RoPE of theta 1e6 of it.
TEST(Qwen3Config, ReadsEverySpellingOfPlainRope) {
  const std::string identity = Config::Parse(ConfigWith(R"(, "rope_theta": 1000000)"), "c").Identity();
  for (const std::string extra :
       {R"(, "rope_theta": 1e6, "rope_scaling": null)", R"(, "rope_theta": 1000000, "rope_scaling": {})",
        R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 1000000})",
        R"(, "rope_parameters": {"rope_theta": 1000000})",
        R"(, "rope_parameters": {"type": "default", "rope_theta": 1e6})",
        R"(, "rope_parameters": {"rope_type": "default"}, "rope_theta": 1000000)",
        R"(, "rope_parameters": {}, "rope_theta": 1000000)", R"(, "rope_parameters": null, "rope_theta": 1000000)",
        R"(, "rope_scaling": {"rope_type": "default"}, "rope_theta": 1000000)",
        R"(, "rope_scaling": {"type": "default"}, "rope_theta": 1000000)",
        R"(, "rope_scaling": {"rope_type": "default", "rope_theta": 1000000})",
        R"(, "rope_scaling": {"rope_type": "default", "rope_theta": 1000000}, "rope_theta": 5)",
        R"(, "rope_scaling": {}, "rope_parameters": {"rope_theta": 1000000})"}) {
    const Config config = Config::Parse(ConfigWith(extra), "c");
    EXPECT_EQ(config.Identity(), identity) << extra;
    EXPECT_TRUE(config.warnings.empty()) << extra << " " << config.warnings[0];
  }
}

// rope_scaling, when it says anything, counts in place of rope_parameters.
TEST(Qwen3Config, FollowsTransformersWhereSpellingsContradict) {
  EXPECT_EQ(Config::Parse(ConfigWith(R"(, "rope_parameters": {"rope_theta": 7}, "rope_theta": 5)"), "c").rope_theta, 7);
  EXPECT_EQ(
      Config::Parse(ConfigWith(R"(, "rope_scaling": {"type": "default"}, "rope_parameters": {"rope_theta": 7})"), "c")
          .rope_theta,
      10000);
}

TEST(Qwen3Config, TakesWhatIsMissingFromTheClassOfTransformers) {
  const Config config = Config::Parse(R"({"model_type": "qwen3"})", "c");
  EXPECT_EQ(config.Identity(), Config{}.Identity());
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.num_key_value_heads, 32);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_EQ(Config::Parse(R"({"model_type": "qwen3", "num_key_value_heads": null, "num_attention_heads": 8})", "c")
                .num_key_value_heads,
            8);
  EXPECT_EQ(Config::Parse(ConfigWith(R"(, "head_dim": 32)"), "c").head_dim, 32);
}

TEST(Qwen3Config, WhatChangesTheModelChangesItsIdentity) {
  const std::string identity = Config::Parse(ConfigWith(""), "c").Identity();
  for (const std::string extra : {R"(, "rms_norm_eps": 1e-5)", R"(, "rope_theta": 5000000)", R"(, "head_dim": 32)",
                                  R"(, "num_key_value_heads": 4)"}) {
    EXPECT_NE(Config::Parse(ConfigWith(extra), "c").Identity(), identity) << extra;
  }
  EXPECT_EQ(Config::Parse(ConfigWith(R"(, "_name_or_path": "x", "transformers_version": "5", "torch_dtype": "float32",
                                        "hidden_act": "swish", "use_cache": false)"),
                          "c")
                .Identity(),
            identity);
}

TEST(Qwen3Config, NamesWhatItDoesNotKnow) {
  const Config config =
      Config::Parse(ConfigWith(R"(, "logit_scale": 2, "rope_parameters": {"rope_theta": 1e6, "factor": 4})"), "c");
  ASSERT_EQ(config.warnings.size(), 2u);
  EXPECT_EQ(config.warnings[0], "c: \"rope_parameters\": not known here and without effect: \"factor\"");
  EXPECT_EQ(config.warnings[1], "c: not known here and without effect: \"logit_scale\"");
}

TEST(Qwen3Config, TakesWindowsThatNoLayerHas) {
  for (const std::string extra :
       {R"(, "use_sliding_window": true, "max_window_layers": 3)", R"(, "use_sliding_window": true)",
        R"(, "use_sliding_window": true, "sliding_window": null, "max_window_layers": 1)",
        R"(, "sliding_window": 4096, "layer_types": ["full_attention", "full_attention", "full_attention"])"}) {
    EXPECT_NO_THROW(Config::Parse(ConfigWith(extra), "c")) << extra;
  }
}

TEST(Qwen3Config, RefusesWhatTheModelDoesNotDo) {
  for (const std::string extra :
       {R"(, "attention_bias": true)", R"(, "use_sliding_window": true, "max_window_layers": 2)",
        R"(, "layer_types": ["full_attention", "sliding_attention", "full_attention"])",
        R"(, "layer_types": ["full_attention"])", R"(, "hidden_act": "gelu")", R"(, "rope_scaling": {"type": "yarn"})",
        R"(, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6})",
        R"(, "rope_scaling": {"rope_type": "linear", "factor": 2})",
        R"(, "rope_parameters": {"full_attention": {"rope_theta": 1e6}})", R"(, "quantization_config": {"bits": 4})",
        R"(, "head_dim": 7)", R"(, "num_key_value_heads": 3)", R"(, "rms_norm_eps": -1e-6)"}) {
    EXPECT_THROW(Config::Parse(ConfigWith(extra), "c"), Error) << extra;
  }
  EXPECT_THROW(Config::Parse(R"({"model_type": "llama"})", "c"), Error);
  EXPECT_THROW(Config::Parse(R"({"hidden_size": 64})", "c"), Error);
  EXPECT_THROW(Config::Parse(R"({"architectures": ["LlamaModel"]})", "c"), Error);
  EXPECT_NO_THROW(Config::Parse(R"({"architectures": ["Qwen3Model"]})", "c"));
}

}  // namespace
}  // namespace diptych::qwen3
