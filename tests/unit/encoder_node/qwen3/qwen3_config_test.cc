#include <cmath>
#include <functional>
#include <string>

#include "common/error/error.h"
#include "common/weights/gguf.h"
#include "encoder_node/qwen3/config.h"
#include "gtest/gtest.h"
#include "tests/support/gguf_text_model.h"
#include "tests/unit/common/weights/weights_support.h"

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

using diptych::testing::GgufWriter;

const std::string kToyA = DIPTYCH_SOURCE_DIR "/tests/parity/data/toy_a";

// Of a file with the tensors of toy_a and these metadata.
Config FromGgufWith(const std::function<void(GgufWriter&)>& add_metadata) {
  const diptych::testing::TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf";
  const auto model = Checkpoint::Open(kToyA + "/text_encoder", ModelPart::kTextEncoder);
  GgufWriter file;
  add_metadata(file);
  diptych::testing::AddTextTensors(file, *model);
  file.Write(path);
  const auto opened = Checkpoint::Open(path, ModelPart::kTextEncoder);
  try {
    return Config::FromGguf(*opened->gguf(), *opened);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    const std::string line = error.what();
    throw Error(error.code(), line.starts_with(path) ? line.substr(path.size()) : line);
  }
}

// The metadata of toy_a with other values for some keys; "": without the key.
struct Change {
  std::string key;
  std::function<void(GgufWriter&, const std::string& key)> write = [](GgufWriter&, const std::string&) {};
};

Config FromGgufBut(const Change& change) {
  return FromGgufWith([&](GgufWriter& file) {
    const std::vector<std::pair<std::string, uint32_t>> sizes = {
        {"block_count", 3},           {"context_length", 40960},     {"embedding_length", 32},
        {"feed_forward_length", 96},  {"attention.head_count", 4},   {"attention.head_count_kv", 2},
        {"attention.key_length", 32}, {"attention.value_length", 32}};
    const std::vector<std::pair<std::string, float>> numbers = {{"rope.freq_base", 1e6f},
                                                                {"attention.layer_norm_rms_epsilon", 1e-6f}};
    for (const auto& [key, value] : sizes) {
      if (key != change.key) file.Number("qwen3." + key, value);
    }
    for (const auto& [key, value] : numbers) {
      if (key != change.key) file.Number("qwen3." + key, value);
    }
    change.write(file, "qwen3." + change.key);
  });
}

template <typename Value>
Change To(const std::string& key, Value value) {
  return {key, [value](GgufWriter& file, const std::string& full) { file.Number(full, value); }};
}

std::string RefusalOf(const Change& change) {
  return diptych::testing::ErrorOf([&] { FromGgufBut(change); });
}

TEST(Qwen3Config, OfAGgufFileIsThatOfTheConfigItWasMadeFrom) {
  const std::string path = kToyA + "/text_encoder/config.json";
  const std::string wanted = Config::Parse(diptych::testing::ReadText(path), path).Identity();
  const Config config =
      FromGgufWith([&](GgufWriter& file) { diptych::testing::AddTextConfig(file, kToyA + "/text_encoder"); });
  EXPECT_EQ(config.Identity(), wanted);
  EXPECT_EQ(config.rms_norm_eps, 1e-6) << "the decimal, not the float";
  EXPECT_EQ(FromGgufBut({"attention.key_length"}).Identity(), wanted) << "the norms show it";
  EXPECT_EQ(FromGgufBut(To("rope.freq_base", 1e6)).Identity(), wanted) << "in double";
  EXPECT_EQ(FromGgufBut(To("block_count", int64_t{3})).Identity(), wanted);
}

TEST(Qwen3Config, TakesFromAGgufFileWhatNoShapeTells) {
  EXPECT_EQ(FromGgufBut(To("rope.freq_base", 5e6f)).rope_theta, 5e6);
  EXPECT_EQ(FromGgufBut(To("attention.layer_norm_rms_epsilon", 1e-5f)).rms_norm_eps, 1e-5);
  EXPECT_EQ(FromGgufBut(To("context_length", uint32_t{262144})).max_position_embeddings, 262144);
  const Config one = FromGgufBut({}), other = FromGgufBut(To("rope.freq_base", 5e6f));
  EXPECT_EQ(UntoldDifference(one, one), "");
  EXPECT_EQ(UntoldDifference(one, other), "rope_theta 1000000 and 5000000");
}

TEST(Qwen3Config, NamesTheKeyOfAGgufFileThatDoesNotFit) {
  for (const std::string key : {"block_count", "context_length", "embedding_length", "feed_forward_length",
                                "attention.head_count", "rope.freq_base", "attention.layer_norm_rms_epsilon"}) {
    EXPECT_EQ(RefusalOf({key}), ": metadata qwen3." + key +
                                    " is missing; the config.json of this text model beside the file would state it");
  }
  EXPECT_EQ(RefusalOf(To("embedding_length", uint32_t{64})),
            ": metadata qwen3.embedding_length and the shapes do not agree: model.embed_tokens.weight should have 64 "
            "columns, its shape is [1008, 32]");
  EXPECT_EQ(RefusalOf(To("feed_forward_length", uint32_t{97})),
            ": metadata qwen3.feed_forward_length and the shapes do not agree: model.layers.0.mlp.gate_proj.weight "
            "should have 97 rows, its shape is [96, 32]");
  EXPECT_EQ(RefusalOf(To("attention.head_count", uint32_t{2})),
            ": metadata qwen3.attention.head_count and the shapes do not agree: model.layers.0.self_attn.q_proj.weight "
            "should have 64 rows, its shape is [128, 32]");
  EXPECT_EQ(RefusalOf({"attention.head_count_kv"}),
            ": metadata qwen3.attention.head_count_kv and the shapes do not agree: "
            "model.layers.0.self_attn.k_proj.weight should have 128 rows, its shape is [64, 32]");
  EXPECT_EQ(RefusalOf(To("block_count", uint32_t{4})),
            ": metadata qwen3.block_count is 4, and the file has 3 of these layers");
  EXPECT_EQ(RefusalOf(To("block_count", uint32_t{0})), ": metadata qwen3.block_count is 0, expected 1 to 2147483647");
  EXPECT_EQ(RefusalOf(To("block_count", 3.0f)), ": metadata qwen3.block_count: expected a whole number, found f32");
  EXPECT_EQ(RefusalOf(To("attention.head_count_kv", uint32_t{3})),
            ": metadata qwen3.attention.head_count_kv must divide attention.head_count");
  EXPECT_EQ(RefusalOf(To("attention.value_length", uint32_t{64})),
            ": metadata qwen3.attention.value_length must be as attention.key_length");
  EXPECT_EQ(RefusalOf(To("rope.freq_base", 1.0f)), ": metadata qwen3.rope.freq_base must be above 1");
  EXPECT_EQ(RefusalOf(To("attention.layer_norm_rms_epsilon", -1.0f)),
            ": metadata qwen3.attention.layer_norm_rms_epsilon must not be negative");
  EXPECT_EQ(RefusalOf(To("rope.freq_base", HUGE_VALF)), ": metadata qwen3.rope.freq_base is no finite number");
}

TEST(Qwen3Config, RefusesScaledRopeOfAGgufFile) {
  const auto with_type = [](const std::string& type) {
    return RefusalOf({"rope.scaling.type", [type](GgufWriter& file, const std::string& key) { file.Text(key, type); }});
  };
  EXPECT_EQ(with_type("none"), "");
  EXPECT_EQ(with_type("yarn"), ": metadata qwen3.rope.scaling.type is \"yarn\"; only plain RoPE is supported");
  EXPECT_EQ(RefusalOf(To("rope.scaling.factor", 4.0f)).find(": metadata qwen3.rope.scaling.factor is 4.0"), 0u);
  EXPECT_EQ(RefusalOf(To("rope.scaling.factor", 1.0f)), "");
}

}  // namespace
}  // namespace diptych::qwen3
