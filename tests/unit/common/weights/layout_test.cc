#include "common/weights/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "common/error/error.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::ErrorOf;

struct Made {
  std::string name;
  std::vector<int64_t> shape = {4};
  std::string dtype = "BF16";
};

Layout LayoutOf(ModelPart part, std::vector<Made> made) {
  std::sort(made.begin(), made.end(), [](const Made& a, const Made& b) { return a.name < b.name; });
  std::vector<RawTensor> raw;
  for (const Made& tensor : made) raw.push_back({tensor.name, tensor.shape, tensor.dtype});
  return Layout::Of(part, raw, "FILE");
}

std::string RefusalOf(ModelPart part, const std::vector<Made>& made) {
  return ErrorOf([&] { LayoutOf(part, made); });
}

std::vector<std::string> NamesOf(const Layout& layout) {
  std::vector<std::string> names;
  for (const CanonicalTensor& tensor : layout.tensors()) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  return names;
}

const CanonicalTensor& Find(const Layout& layout, const std::string& name) {
  for (const CanonicalTensor& tensor : layout.tensors()) {
    if (tensor.name == name) return tensor;
  }
  throw std::runtime_error("no tensor " + name);
}

const std::vector<Made> kFused = {{"layers.0.attention.qkv.weight", {12, 4}},
                                  {"layers.0.attention.out.weight", {4, 4}},
                                  {"layers.0.attention.q_norm.weight"},
                                  {"layers.0.attention.k_norm.weight"},
                                  {"layers.0.adaLN_modulation.0.weight", {16, 4}},
                                  {"x_embedder.weight", {4, 64}},
                                  {"final_layer.linear.bias", {64}},
                                  {"t_embedder.mlp.0.weight", {4, 4}},
                                  {"x_pad_token"},
                                  {"cap_pad_token", {1, 4}}};

std::vector<Made> Under(const std::string& prefix, std::vector<Made> tensors) {
  for (Made& tensor : tensors) tensor.name = prefix + tensor.name;
  return tensors;
}

std::vector<Made> operator+(std::vector<Made> a, const std::vector<Made>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Layout, SplitsQkvIntoRowsAndRenamesTheRest) {
  const std::vector<std::string> wanted = {"all_final_layer.2-1.linear.bias",
                                           "all_x_embedder.2-1.weight",
                                           "cap_pad_token",
                                           "layers.0.adaLN_modulation.0.weight",
                                           "layers.0.attention.norm_k.weight",
                                           "layers.0.attention.norm_q.weight",
                                           "layers.0.attention.to_k.weight",
                                           "layers.0.attention.to_out.0.weight",
                                           "layers.0.attention.to_q.weight",
                                           "layers.0.attention.to_v.weight",
                                           "t_embedder.mlp.0.weight",
                                           "x_pad_token"};
  for (const std::string prefix : {"", "diffusion_model.", "model.diffusion_model."}) {
    const Layout layout = LayoutOf(ModelPart::kTransformer, Under(prefix, kFused));
    EXPECT_EQ(NamesOf(layout), wanted) << prefix;
    EXPECT_FALSE(layout.is_plain());
    EXPECT_TRUE(layout.foreign().empty());
    int64_t first_row = 0;
    for (const std::string one : {"q", "k", "v"}) {
      const CanonicalTensor& tensor = Find(layout, "layers.0.attention.to_" + one + ".weight");
      EXPECT_TRUE(tensor.is_slice);
      EXPECT_EQ(tensor.first_row, first_row) << one;
      EXPECT_EQ(tensor.rows, 4) << one;
      EXPECT_EQ(tensor.shape, (std::vector<int64_t>{4, 4})) << one;
      EXPECT_EQ(layout.RawName(tensor.name), prefix + "layers.0.attention.qkv.weight");
      first_row += 4;
    }
    EXPECT_EQ(Find(layout, "x_pad_token").shape, (std::vector<int64_t>{1, 4}));
    EXPECT_EQ(Find(layout, "cap_pad_token").shape, (std::vector<int64_t>{1, 4}));
    EXPECT_EQ(layout.RawName("all_x_embedder.2-1.weight"), prefix + "x_embedder.weight");
    EXPECT_EQ(layout.RawName("noise_refiner.1.attention.to_out.0.weight"),
              prefix + "noise_refiner.1.attention.out.weight");
    EXPECT_EQ(layout.RawName("noise_refiner.1.attention.norm_q.weight"),
              prefix + "noise_refiner.1.attention.q_norm.weight");
  }
}

const std::vector<Made> kSplit = {
    {"layers.0.attention.to_q.weight", {4, 4}}, {"layers.0.attention.to_out.0.weight", {4, 4}},
    {"layers.0.attention.norm_q.weight"},       {"all_x_embedder.2-1.weight", {4, 64}},
    {"all_final_layer.2-1.linear.bias", {64}},  {"x_pad_token", {1, 4}}};

TEST(Layout, LeavesCanonicalNamesAlone) {
  const std::vector<Made> odd = {{"x_embedder.weight"}, {"something.new"}, {"layers.0.attention.out.weight"}};
  const Layout layout = LayoutOf(ModelPart::kTransformer, kSplit + odd);
  EXPECT_TRUE(layout.is_plain());
  EXPECT_EQ(layout.tensors().size(), kSplit.size() + odd.size());
  EXPECT_EQ(layout.Description(), "");
  for (const CanonicalTensor& tensor : layout.tensors()) EXPECT_EQ(layout.RawName(tensor.name), tensor.name);

  const Layout prefixed = LayoutOf(ModelPart::kTransformer, Under("diffusion_model.", kSplit));
  EXPECT_EQ(NamesOf(prefixed), NamesOf(LayoutOf(ModelPart::kTransformer, kSplit)));
  EXPECT_FALSE(prefixed.is_plain());
  EXPECT_EQ(prefixed.Description(), "prefix diffusion_model.");
}

TEST(Layout, KeepsWhatItDoesNotKnowOfThePartAndDropsStrays) {
  const Layout layout = LayoutOf(
      ModelPart::kTransformer,
      Under("model.diffusion_model.",
            kFused + std::vector<Made>{{"something.new"}, {"norm_final.weight"}, {"t_embedder_2.mlp.0.weight"}}) +
          Under("vae.", {{"decoder.conv_in.weight", {4, 16, 3, 3}}}) + std::vector<Made>{{"model_ema.decay"}});
  const std::vector<std::string> names = NamesOf(layout);
  EXPECT_TRUE(std::find(names.begin(), names.end(), "something.new") != names.end());
  for (const std::string& name : names) EXPECT_EQ(name.find("t_embedder_2"), std::string::npos);
  EXPECT_TRUE(std::find(names.begin(), names.end(), "norm_final.weight") == names.end());
  EXPECT_EQ(layout.foreign(), (std::vector<std::string>{"model_ema.decay", "vae.decoder.conv_in.weight"}));
}

const std::vector<std::pair<std::string, std::string>> kLlamaCppNames = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
    {"blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight"},
    {"blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"},
    {"blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight"},
    {"blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight"},
    {"blk.0.attn_output.weight", "model.layers.0.self_attn.o_proj.weight"},
    {"blk.0.attn_q_norm.weight", "model.layers.0.self_attn.q_norm.weight"},
    {"blk.0.attn_k_norm.weight", "model.layers.0.self_attn.k_norm.weight"},
    {"blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"},
    {"blk.0.ffn_gate.weight", "model.layers.0.mlp.gate_proj.weight"},
    {"blk.0.ffn_up.weight", "model.layers.0.mlp.up_proj.weight"},
    {"blk.35.ffn_down.weight", "model.layers.35.mlp.down_proj.weight"}};

std::vector<Made> LlamaCppModel() {
  std::vector<Made> made;
  for (const auto& [raw, canonical] : kLlamaCppNames) made.push_back({raw});
  return made;
}

TEST(Layout, ReadsLlamaCppsNamesOfTheTextModel) {
  std::vector<Made> made = LlamaCppModel();
  for (Made& one : made) {
    if (one.name == "blk.0.attn_q.weight") one = {one.name, {8, 256}, "Q4_K"};
  }
  const Layout layout = LayoutOf(ModelPart::kTextEncoder, made);
  EXPECT_FALSE(layout.is_plain());
  EXPECT_EQ(layout.Description(), "llama.cpp's names");
  EXPECT_EQ(layout.tensors().size(), kLlamaCppNames.size());
  for (const auto& [raw, canonical] : kLlamaCppNames) {
    EXPECT_FALSE(Find(layout, canonical).is_slice) << raw;
    EXPECT_EQ(layout.RawName(canonical), raw);
  }
  EXPECT_EQ(Find(layout, "model.layers.0.self_attn.q_proj.weight").shape, (std::vector<int64_t>{8, 256}));
}

TEST(Layout, KeepsNamesThatLlamaCppsTextModelDoesNotHave) {
  for (const std::string name : {"rope_freqs.weight", "blk.1.something.weight", "blk.attn_q.weight", "my.output.weight",
                                 "layers.weight", "blk.1.attn_q"}) {
    const Layout layout = LayoutOf(ModelPart::kTextEncoder, LlamaCppModel() + std::vector<Made>{{name}});
    EXPECT_EQ(Find(layout, name).name, name);
    EXPECT_EQ(layout.RawName(name), name);
  }
}

TEST(Layout, RefusesLlamaCppsNamesBesideTransformers) {
  for (const std::string prefix : {"", "model."}) {
    const std::vector<Made> other = {{prefix + "layers.0.self_attn.q_norm.weight"}};
    const std::string refusal = RefusalOf(ModelPart::kTextEncoder, LlamaCppModel() + other);
    EXPECT_NE(refusal.find("layers.0.self_attn.q_norm.weight"), std::string::npos) << refusal;
    EXPECT_NE(refusal.find("blk."), std::string::npos) << refusal;
  }
}

TEST(Layout, NamesTheTextModelThatIsAnother) {
  const auto refusal_of = [](ModelPart part, const std::vector<Made>& made, const std::string& architecture) {
    std::vector<RawTensor> raw;
    for (const Made& tensor : made) raw.push_back({tensor.name, tensor.shape, tensor.dtype});
    return ErrorOf([&] { Layout::Of(part, raw, "FILE", architecture); });
  };
  const auto text = ModelPart::kTextEncoder, transformer = ModelPart::kTransformer, vae = ModelPart::kVae;
  const std::string give = "; give the text encoder of Z-Image, Qwen3-4B, such as qwen_3_4b.safetensors";
  for (const std::string none : {"qwen3", ""}) EXPECT_EQ(refusal_of(text, LlamaCppModel(), none), "");
  EXPECT_EQ(refusal_of(text, LlamaCppModel(), "llama"), "FILE: this is Llama, Mistral or a kin of theirs" + give);
  EXPECT_EQ(refusal_of(text, LlamaCppModel(), "qwen2"), "FILE: this is Qwen2 or Qwen2.5" + give);
  EXPECT_EQ(refusal_of(text, LlamaCppModel(), "qwen3moe"), "FILE: this is a mixture of experts (Qwen3)" + give);
  EXPECT_EQ(refusal_of(text, LlamaCppModel(), "qwen3vl"), "FILE: this is a model that sees pictures (Qwen3-VL)" + give);
  EXPECT_EQ(refusal_of(text, LlamaCppModel(), "gemma3"), "FILE: this is Gemma" + give);
  EXPECT_EQ(refusal_of(text, LlamaCppModel(), "olmo2"),
            "FILE: this is a model of another architecture, \"olmo2\"" + give);
  EXPECT_EQ(refusal_of(text, {{"double_blocks.0.x"}}, "flux"), "FILE: this is FLUX.1, another model" + give);
  EXPECT_EQ(refusal_of(text, kFused, "lumina2")
                .find("FILE: this is a transformer of Z-Image: give it as "
                      "--transformer-path, and here the text encoder"),
            0u);
  for (const std::string architecture : {"qwen3", ""}) {
    for (const ModelPart part : {transformer, vae}) {
      const std::string refusal = refusal_of(part, LlamaCppModel(), architecture);
      EXPECT_EQ(refusal.find("FILE: this is a text model: give it as --text-encoder-path, and here the "), 0u)
          << refusal;
    }
  }
  EXPECT_EQ(refusal_of(transformer, LlamaCppModel(), "llama").find("FILE: this is Llama, Mistral"), 0u);
  for (const std::string fine : {"lumina2", "", "z_image"})
    EXPECT_EQ(refusal_of(transformer, kFused, fine), "") << fine;

  // Without a word of the container the names tell.
  std::vector<Made> without_norms = {{"token_embd.weight"}, {"blk.0.attn_q.weight"}, {"blk.0.ffn_up.weight"}};
  EXPECT_EQ(refusal_of(text, without_norms, ""),
            "FILE: this is a text model of another family (Llama, Mistral, Qwen2 or a kin of theirs)" + give);
  EXPECT_EQ(refusal_of(text, LlamaCppModel() + std::vector<Made>{{"blk.0.post_ffw_norm.weight"}}, ""),
            "FILE: this is Gemma, another model" + give);
  EXPECT_EQ(refusal_of(text, LlamaCppModel() + std::vector<Made>{{"blk.0.ffn_gate_exps.weight"}}, ""),
            "FILE: this is a mixture of experts, another model" + give);
}

TEST(Layout, ReadsLdmNamesOfTheVae) {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"encoder.conv_in.weight", "encoder.conv_in.weight"},
      {"encoder.down.0.block.1.norm1.weight", "encoder.down_blocks.0.resnets.1.norm1.weight"},
      {"encoder.down.1.block.0.nin_shortcut.bias", "encoder.down_blocks.1.resnets.0.conv_shortcut.bias"},
      {"encoder.down.1.downsample.conv.weight", "encoder.down_blocks.1.downsamplers.0.conv.weight"},
      {"encoder.mid.block_2.conv1.weight", "encoder.mid_block.resnets.1.conv1.weight"},
      {"decoder.mid.attn_1.norm.weight", "decoder.mid_block.attentions.0.group_norm.weight"},
      {"decoder.mid.attn_1.q.weight", "decoder.mid_block.attentions.0.to_q.weight"},
      {"decoder.mid.attn_1.proj_out.bias", "decoder.mid_block.attentions.0.to_out.0.bias"},
      {"decoder.up.3.block.2.conv2.weight", "decoder.up_blocks.0.resnets.2.conv2.weight"},
      {"decoder.up.1.upsample.conv.weight", "decoder.up_blocks.2.upsamplers.0.conv.weight"},
      {"decoder.up.0.block.0.nin_shortcut.weight", "decoder.up_blocks.3.resnets.0.conv_shortcut.weight"},
      {"decoder.norm_out.weight", "decoder.conv_norm_out.weight"},
      {"decoder.conv_out.bias", "decoder.conv_out.bias"},
      {"quant_conv.weight", "quant_conv.weight"}};
  for (const std::string prefix : {"", "vae.", "first_stage_model."}) {
    std::vector<Made> made;
    for (const auto& [raw, canonical] : names) {
      made.push_back(
          {prefix + raw, raw.ends_with(".q.weight") ? std::vector<int64_t>{8, 8, 1, 1} : std::vector<int64_t>{8}});
    }
    const Layout layout = LayoutOf(ModelPart::kVae, made);
    EXPECT_EQ(layout.tensors().size(), names.size());
    for (const auto& [raw, canonical] : names) {
      Find(layout, canonical);
      EXPECT_EQ(layout.RawName(canonical), prefix + raw);
    }
    EXPECT_EQ(Find(layout, "decoder.mid_block.attentions.0.to_q.weight").shape, (std::vector<int64_t>{8, 8}));
  }
}

const std::vector<Made> kText = {{"layers.0.self_attn.q_norm.weight"},
                                 {"layers.0.self_attn.q_proj.weight", {4, 4}},
                                 {"embed_tokens.weight", {9, 4}},
                                 {"norm.weight"}};

TEST(Layout, TakesTheTextModelOutOfAMergedFile) {
  for (const std::string model : {"", "model."}) {
    const std::vector<Made> text = Under(model, kText);
    EXPECT_TRUE(LayoutOf(ModelPart::kTextEncoder, text).is_plain());
    for (const std::string prefix : {"text_encoders.qwen3_4b.transformer.", "cond_stage_model.transformer."}) {
      const Layout layout =
          LayoutOf(ModelPart::kTextEncoder,
                   Under(prefix, text + std::vector<Made>{{"lm_head.weight", {9, 4}}}) +
                       std::vector<Made>{
                           {"text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight"},
                           {"model.diffusion_model.layers.0.attention.qkv.weight", {12, 4}}});
      EXPECT_EQ(NamesOf(layout),
                NamesOf(LayoutOf(ModelPart::kTextEncoder, text + std::vector<Made>{{"lm_head.weight"}})));
      EXPECT_EQ(layout.foreign().size(), 2u);
      EXPECT_EQ(layout.RawName(model + "norm.weight"), prefix + model + "norm.weight");
    }
  }
}

TEST(Layout, LeavesWhatItKnowsNothingOf) {
  const Layout layout = LayoutOf(ModelPart::kTransformer, {{"a"}, {"b.weight"}});
  EXPECT_TRUE(layout.is_plain());
  EXPECT_EQ(NamesOf(layout), (std::vector<std::string>{"a", "b.weight"}));
  EXPECT_TRUE(LayoutOf(ModelPart::kVae, {}).is_plain());
}

TEST(Layout, RefusesFusedTensorsOfAnOddShape) {
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{13, 4}, {9, 4}, {12}, {}, {12, 4, 1}}) {
    const std::string refusal =
        RefusalOf(ModelPart::kTransformer, {{"diffusion_model.layers.0.attention.qkv.weight", shape}});
    EXPECT_EQ(
        refusal.find("FILE: diffusion_model.layers.0.attention.qkv.weight: expected shape [3 n, n], which q, k and v "
                     "share, found ["),
        0u)
        << refusal;
  }
}

TEST(Layout, RefusesFusedBesideSplit) {
  for (const std::string layer : {"0", "1"}) {
    EXPECT_EQ(RefusalOf(ModelPart::kTransformer,
                        kFused + std::vector<Made>{{"layers." + layer + ".attention.to_k.weight", {4, 4}}}),
              "FILE: has names of two layouts, layers." + layer +
                  ".attention.to_k.weight and layers.0.attention.qkv.weight; give a file that has one");
  }
  EXPECT_NE(RefusalOf(ModelPart::kVae,
                      {{"decoder.up.0.block.0.conv1.weight"}, {"decoder.up_blocks.0.resnets.0.conv1.weight"}})
                .find("has names of two layouts"),
            std::string::npos);
}

TEST(Layout, RefusesTwoTensorsOfOneName) {
  EXPECT_EQ(RefusalOf(ModelPart::kTransformer, kFused + std::vector<Made>{{"all_x_embedder.2-1.weight"}}),
            "FILE: both all_x_embedder.2-1.weight and x_embedder.weight would be all_x_embedder.2-1.weight");
}

TEST(Layout, RefusesAPrefixThatSomeLack) {
  EXPECT_EQ(RefusalOf(ModelPart::kTransformer, {{"diffusion_model.layers.0.attention.qkv.weight", {12, 4}},
                                                {"layers.1.attention.qkv.weight", {12, 4}},
                                                {"layers.2.attention.qkv.weight", {12, 4}}}),
            "FILE: 2 tensors of the transformer have no prefix, such as layers.1.attention.qkv.weight, and 1 have the "
            "prefix diffusion_model., such as diffusion_model.layers.0.attention.qkv.weight; all of them must have the "
            "same");
  EXPECT_NE(RefusalOf(ModelPart::kTextEncoder, kText + std::vector<Made>{{"model.layers.1.mlp.up_proj.weight"}})
                .find("tensors of the text encoder have no prefix"),
            std::string::npos);
}

TEST(Layout, RefusesTheSamePartTwice) {
  EXPECT_EQ(
      RefusalOf(ModelPart::kTransformer, Under("diffusion_model.", kFused) + Under("model.diffusion_model.", kFused)),
      "FILE: holds the transformer twice, with the prefix diffusion_model. and with the prefix "
      "model.diffusion_model. (cap_pad_token is in both); give a file with one");
  EXPECT_NE(RefusalOf(ModelPart::kTextEncoder, Under("text_encoders.a.", kText) + Under("text_encoders.b.", kText))
                .find("holds the text encoder twice"),
            std::string::npos);
}

TEST(OtherModel, IsRefusedByName) {
  const std::string dit = "; give the transformer of Z-Image, such as z_image_turbo_bf16.safetensors";
  const std::vector<std::pair<std::vector<Made>, std::string>> cases = {
      {{{"model.diffusion_model.input_blocks.0.0.weight"}, {"model.diffusion_model.label_emb.0.0.weight"}},
       "Stable Diffusion XL, another model" + dit},
      {{{"model.diffusion_model.input_blocks.0.0.weight"}}, "Stable Diffusion 1.5 or 2, another model" + dit},
      {{{"double_blocks.0.img_attn.qkv.weight"}, {"single_blocks.0.linear1.weight"}}, "FLUX.1, another model" + dit},
      {{{"transformer_blocks.0.img_mod.1.weight"}}, "Qwen-Image, another model" + dit},
      {{{"blocks.0.cross_attn.k.weight"}, {"head.modulation"}}, "Wan, another model" + dit},
      {{{"layers.0.attention.qkv.weight", {12, 4}}, {"layers.0.adaLN_modulation.1.weight"}, {"cap_embedder.1.weight"}},
       "Lumina 2, another model" + dit},
      {{{"diffusion_model.layers.0.attention.to_q.lora_A.weight"}},
       "a LoRA, which is added to a model and is none itself, and which is not read yet" + dit},
      {{{"decoder.conv_in.weight"}},
       "a VAE: give it as --vae-path, and here the transformer of Z-Image, such as z_image_turbo_bf16.safetensors"},
      {Under("model.", kText),
       "a text model: give it as --text-encoder-path, and here the transformer of Z-Image, such as "
       "z_image_turbo_bf16.safetensors"}};
  for (const auto& [made, what] : cases) EXPECT_EQ(RefusalOf(ModelPart::kTransformer, made), "FILE: this is " + what);

  const auto of_vae = [](const std::vector<Made>& made) { return RefusalOf(ModelPart::kVae, made); };
  EXPECT_EQ(
      of_vae({{"first_stage_model.decoder.conv_in.weight", {512, 4, 3, 3}},
              {"first_stage_model.decoder.norm_out.weight"}}),
      "FILE: this is the VAE of Stable Diffusion (1.5, 2 or XL), another model; give the VAE of Z-Image, which is "
      "FLUX.1's, ae.safetensors");
  EXPECT_NE(of_vae({{"decoder.middle.0.residual.0.gamma"}}).find("the VAE of Wan or Qwen-Image"), std::string::npos);
  EXPECT_NE(of_vae(kFused + std::vector<Made>{{"noise_refiner.0.attention.qkv.weight"}})
                .find("give it as --transformer-path"),
            std::string::npos);

  const auto of_text = [](const std::vector<Made>& made) { return RefusalOf(ModelPart::kTextEncoder, made); };
  EXPECT_NE(of_text({{"encoder.block.0.layer.0.SelfAttention.q.weight"}, {"encoder.block.0.layer.0.layer_norm.weight"}})
                .find("this is T5"),
            std::string::npos);
  EXPECT_NE(of_text({{"model.layers.0.self_attn.q_proj.weight"}}).find("a text model of another family"),
            std::string::npos);
  EXPECT_NE(
      of_text({{"model.layers.0.self_attn.q_proj.weight"}, {"visual.blocks.0.attn.qkv.weight"}}).find("sees pictures"),
      std::string::npos);
  EXPECT_NE(of_text(kText + std::vector<Made>{{"layers.0.pre_feedforward_layernorm.weight"}}).find("this is Gemma"),
            std::string::npos);
}

TEST(Layout, ScalesOfFp8GoWithTheirTensorsUnderOneName) {
  const std::string qkv = "layers.0.attention.qkv.", out = "layers.0.attention.out.";
  std::vector<Made> fused = kFused, apart = kSplit;
  fused[0].dtype = apart[0].dtype = "F8_E4M3";
  const std::vector<Made> markers = {{"scaled_fp8", {2}}, {qkv + "comfy_quant", {20}}, {out + "input_scale", {}}};
  const auto split = [&](const Layout& layout, const std::string& one) {
    return Find(layout, "layers.0.attention.to_" + one + ".weight_scale");
  };
  for (const std::string name : {"scale_weight", "weight_scale"}) {
    const Layout one = LayoutOf(ModelPart::kTransformer, fused + markers + std::vector<Made>{{qkv + name, {}}, {out + name, {}}});
    EXPECT_TRUE(Find(one, "layers.0.attention.to_out.0.weight_scale").shape.empty());
    EXPECT_FALSE(split(one, "k").is_slice);
    EXPECT_EQ(one.tensors().size(), kFused.size() + 2 + 4) << "markers are left out";
    const Layout rows = LayoutOf(ModelPart::kTransformer, fused + std::vector<Made>{{qkv + name, {12, 1}}});
    EXPECT_TRUE(split(rows, "v").is_slice);
    EXPECT_EQ(split(rows, "v").first_row, 8);
    EXPECT_EQ(split(rows, "v").shape, (std::vector<int64_t>{4, 1}));
  }
  const Layout canonical = LayoutOf(ModelPart::kTransformer, apart + std::vector<Made>{{"layers.0.attention.to_q.scale_weight", {}}});
  EXPECT_TRUE(split(canonical, "q").shape.empty());
  EXPECT_FALSE(canonical.is_plain());
}

TEST(QuantisedForm, IsRefusedByName) {
  const auto of = [](const std::vector<Made>& more, const std::string& dtype) {
    std::vector<Made> made = kFused + more;
    made[0].dtype = dtype;
    return RefusalOf(ModelPart::kTransformer, made);
  };
  const std::string scale = "layers.0.attention.qkv.weight_scale";
  const std::string advice =
      ", which is not read yet; give one in bfloat16: the transformer of Z-Image, such as "
      "z_image_turbo_bf16.safetensors";
  EXPECT_EQ(of({{scale}}, "F8_E4M3"), "") << "fp8 is read";
  EXPECT_EQ(of({{scale}, {"layers.0.attention.qkv.pre_quant_scale"}}, "F8_E4M3"),
            "FILE: its weights are quantised with scales of what it is multiplied with (pre_quant_scale)" + advice);
  EXPECT_EQ(of({{scale}, {"layers.0.attention.qkv.comfy_quant"}}, "I8"),
            "FILE: its weights are quantised as int8" + advice);
  EXPECT_EQ(of({{scale}, {scale + "_2"}}, "U8"), "FILE: its weights are quantised as nvfp4" + advice);
  EXPECT_EQ(of({{"layers.0.attention.to_qkv.wscales"}}, "I8"),
            "FILE: its weights are quantised by nunchaku (SVDQuant)" + advice);
  EXPECT_EQ(of({{"vae.decoder.scaled_fp8"}}, "BF16"), "") << "of another part";
}

}  // namespace
}  // namespace diptych
