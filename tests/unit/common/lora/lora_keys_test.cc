#include "common/lora/lora_keys.h"

#include <gtest/gtest.h>

namespace diptych {
namespace {

const LoraModules kModules = {{"layers.0.attention.to_q", {6, 6}},
                              {"layers.0.attention.to_k", {4, 6}},
                              {"layers.0.attention.to_v", {4, 6}},
                              {"layers.0.attention.to_out.0", {6, 6}},
                              {"layers.1.attention.to_q", {6, 6}},
                              {"all_x_embedder.2-1", {6, 12}},
                              {"all_final_layer.2-1.adaLN_modulation.1", {6, 4}}};

// The target's name, with * behind it when the layer goes by another one; empty: none.
std::string Found(const std::string& layer) {
  static const LoraTargets targets(kModules);
  const LoraTargets::Found found = targets.Find(layer);
  return found.target == nullptr ? "" : found.target->name + (found.is_own_name ? "" : "*");
}

TEST(LoraKeys, SplitsTheLayerFromTheRole) {
  const auto key = ParseLoraKey("diffusion_model.layers.0.attention.to_q.lora_A.weight");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->layer, "diffusion_model.layers.0.attention.to_q");
  EXPECT_EQ(key->role, LoraRole::kDown);
  EXPECT_EQ(ParseLoraKey("a.lora_B.default.weight")->role, LoraRole::kUp);
  EXPECT_EQ(ParseLoraKey("a.lora_B.default.bias")->role, LoraRole::kUpBias);
  EXPECT_EQ(ParseLoraKey("a.lora_magnitude_vector.default.weight")->role, LoraRole::kPeftMagnitude);
  EXPECT_EQ(ParseLoraKey("a_lora.down.weight")->layer, "a");
  EXPECT_EQ(ParseLoraKey("lora_unet_a.lokr_w1_a")->role, LoraRole::kLokrW1A);
  for (const char* none : {"", ".", "lora_A", ".lora_A", "lora_A.weight", "a.weight", "a.down.weight", "a.lora_A.bias",
                           "a.alpha.b", "a.b.c", "lora_A.default.weight", "_lora.down.weight"}) {
    EXPECT_FALSE(ParseLoraKey(none)) << none;
  }
}

TEST(LoraKeys, FindsALayerUnderEveryPrefixAndName) {
  for (const char* prefix : {"", "diffusion_model.", "transformer.", "base_model.model.",
                             "base_model.model.transformer.", "model.diffusion_model."}) {
    EXPECT_EQ(Found(std::string(prefix) + "layers.0.attention.to_q"), "layers.0.attention.to_q") << prefix;
  }
  for (const char* prefix : {"lora_unet_", "lora_unet__", "lora_transformer_", "lycoris_"}) {
    EXPECT_EQ(Found(std::string(prefix) + "layers_0_attention_to_out_0"), "layers.0.attention.to_out.0") << prefix;
    EXPECT_EQ(Found(std::string(prefix) + "layers_0_attention_out"), "layers.0.attention.to_out.0*") << prefix;
  }
  EXPECT_EQ(Found("lora_unet_all_x_embedder_2-1"), "all_x_embedder.2-1");
  EXPECT_EQ(Found("lora_unet_x_embedder"), "all_x_embedder.2-1*");
  EXPECT_EQ(Found("final_layer.adaLN_modulation.1"), "all_final_layer.2-1.adaLN_modulation.1*");
  EXPECT_EQ(Found("layers.0.attention.wo"), "layers.0.attention.to_out.0*");
  EXPECT_EQ(Found("layers.0.attention.qkv"), "layers.0.attention.qkv");
  EXPECT_EQ(Found("lora_unet_layers_0_attention_qkv"), "layers.0.attention.qkv");
  EXPECT_EQ(Found("layers.1.attention.qkv"), "");  // its k and v are not there
  for (const char* none : {"", "layers.2.attention.to_q", "layers.0.attention", "lora_unet_",
                           "transformer.transformer.transformer.transformer.layers.0.attention.to_q"}) {
    EXPECT_EQ(Found(none), "") << none;
  }
}

TEST(LoraKeys, PutsQKAndVOneUnderTheOtherWhateverTheirHeights) {
  const LoraTargets targets(kModules);
  const LoraTarget* fused = targets.Find("layers.0.attention.qkv").target;
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(fused->out, 14);
  EXPECT_EQ(fused->in, 6);
  ASSERT_EQ(fused->rows.size(), 3u);
  EXPECT_EQ(fused->rows[2].module, "layers.0.attention.to_v");
  EXPECT_EQ(fused->rows[2].first_row, 10);
  EXPECT_EQ(fused->rows[2].rows, 4);
}

TEST(LoraKeys, DoesNotGuessBetweenTwoLayersThatShareAName) {
  const LoraTargets targets({{"a.b_c", {1, 1}}, {"a_b.c", {1, 1}}});
  EXPECT_EQ(targets.Find("lora_unet_a_b_c").target, nullptr);
  EXPECT_EQ(targets.Find("a.b_c").target->name, "a.b_c");
}

TEST(LoraKeys, TellsTensorsOfTextEncoders) {
  for (const char* name :
       {"lora_te_a", "lora_te1_a", "text_encoder.a", "text_encoders.qwen.a", "base_model.model.text_encoder.a"}) {
    EXPECT_TRUE(IsOfTextEncoder(name)) << name;
  }
  for (const char* name : {"lora_unet_a", "text_encode", "lora_tea", ""}) EXPECT_FALSE(IsOfTextEncoder(name)) << name;
}

}  // namespace
}  // namespace diptych
