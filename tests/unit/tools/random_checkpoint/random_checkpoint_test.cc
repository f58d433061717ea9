#include "tools/random_checkpoint/random_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/weights/checkpoint.h"
#include "common/weights/dequantize.h"
#include "tests/unit/common/weights/weights_support.h"
#include "tools/random_checkpoint/random_tensor.h"
#include "tools/random_checkpoint/random_values.h"
#include "tools/random_checkpoint/tokenizer_file.h"

namespace diptych::random_checkpoint {
namespace {

namespace fs = std::filesystem;
using diptych::testing::ErrorOf;
using diptych::testing::ReadText;
using diptych::testing::TemporaryFolder;
using diptych::testing::WriteText;

// Relative path -> contents of every file below `folder`.
std::map<std::string, std::string> AllFiles(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder)] = ReadText(entry.path());
  }
  return files;
}

int64_t Parameters(const RandomTensors& tensors) {
  int64_t total = 0;
  for (const RandomTensor& tensor : tensors) {
    int64_t product = 1;
    for (const int64_t dimension : tensor.shape) product *= dimension;
    total += product;
  }
  return total;
}

bool Has(const RandomTensors& tensors, const std::string& name, const std::vector<int64_t>& shape) {
  for (const RandomTensor& tensor : tensors) {
    if (tensor.name == name) return tensor.shape == shape;
  }
  return false;
}

TEST(RandomCheckpoint, WritesEqualBytesForEqualSeeds) {
  const TemporaryFolder first, second, other;
  const Sizes sizes = PresetSizes("tiny");
  WriteRandomCheckpoint(first.path(), sizes, {.seed = 7});
  WriteRandomCheckpoint(second.path(), sizes, {.seed = 7});
  WriteRandomCheckpoint(other.path(), sizes, {.seed = 8});
  const auto files = AllFiles(first.path());
  EXPECT_TRUE(files == AllFiles(second.path()));
  const auto others = AllFiles(other.path());
  EXPECT_EQ(files.at("transformer/config.json"), others.at("transformer/config.json"));
  for (const std::string weights : {"text_encoder/model.safetensors", "transformer/diffusion_pytorch_model.safetensors",
                                    "vae/diffusion_pytorch_model.safetensors"}) {
    EXPECT_TRUE(files.at(weights) != others.at(weights)) << weights;
  }
}

TEST(RandomCheckpoint, WritesEveryFileOfTheFolder) {
  const TemporaryFolder folder;
  WriteRandomCheckpoint(folder.path(), PresetSizes("tiny"), {});
  std::set<std::string> names;
  for (const auto& [name, contents] : AllFiles(folder.path())) names.insert(name);
  EXPECT_EQ(names, (std::set<std::string>{"model_index.json", "scheduler/scheduler_config.json",
                                          "text_encoder/config.json", "text_encoder/model.safetensors",
                                          "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
                                          "transformer/config.json", "transformer/diffusion_pytorch_model.safetensors",
                                          "vae/config.json", "vae/diffusion_pytorch_model.safetensors"}));
}

TEST(RandomCheckpoint, HoldsTheSameTensorsInShards) {
  const TemporaryFolder single, sharded;
  const Sizes sizes = PresetSizes("tiny");
  WriteRandomCheckpoint(single.path(), sizes, {.float32 = true});
  WriteRandomCheckpoint(sharded.path(), sizes, {.float32 = true, .max_shard_bytes = 3'000'000});
  EXPECT_TRUE(fs::exists(sharded / "transformer/diffusion_pytorch_model.safetensors.index.json"));
  for (const std::string part : {"text_encoder", "transformer", "vae"}) {
    const auto one = Checkpoint::Open(single / part);
    const auto many = Checkpoint::Open(sharded / part);
    ASSERT_EQ(one->tensors().size(), many->tensors().size()) << part;
    for (const auto& [name, tensor] : one->tensors()) {
      const TensorEntry* shard = many->Find(name);
      ASSERT_TRUE(shard != nullptr) << name;
      ASSERT_EQ(shard->byte_count, tensor.entry->byte_count) << name;
      EXPECT_EQ(std::memcmp(shard->data, tensor.entry->data, shard->byte_count), 0) << name;
    }
  }
}

// Tensor and parameter counts of the published Z-Image-Turbo, its VAE and Qwen3-4B.
TEST(RandomCheckpoint, HasEveryTensorOfTheFullSizeModels) {
  Sizes sizes;
  sizes.text = {.hidden = 2560,
                .layers = 36,
                .heads = 32,
                .kv_heads = 8,
                .head_dim = 128,
                .intermediate = 9728,
                .vocabulary = 151936};
  sizes.transformer = {.dim = 3840, .heads = 30, .layers = 30, .refiner_layers = 2};
  sizes.vae = {.channels = {128, 256, 512, 512}, .layers_per_block = 2, .groups = 32};

  const RandomTensors text = TextEncoderTensors(sizes.text);
  EXPECT_EQ(text.size(), 398u);
  EXPECT_EQ(Parameters(text), 4022468096);
  EXPECT_TRUE(Has(text, "model.layers.35.self_attn.o_proj.weight", {2560, 4096}));
  EXPECT_FALSE(Has(text, "lm_head.weight", {151936, 2560}));
  sizes.text.tied = false;
  EXPECT_TRUE(Has(TextEncoderTensors(sizes.text), "lm_head.weight", {151936, 2560}));

  const RandomTensors transformer = TransformerTensors(sizes.transformer, 2560);
  EXPECT_EQ(transformer.size(), 521u);
  EXPECT_EQ(Parameters(transformer), 6154908736);
  EXPECT_TRUE(Has(transformer, "layers.29.feed_forward.w2.weight", {3840, 10240}));
  EXPECT_TRUE(Has(transformer, "noise_refiner.1.adaLN_modulation.0.bias", {15360}));
  EXPECT_TRUE(Has(transformer, "context_refiner.1.attention.norm_k.weight", {128}));
  EXPECT_FALSE(Has(transformer, "context_refiner.1.adaLN_modulation.0.bias", {15360}));

  const RandomTensors vae = VaeTensors(sizes.vae);
  EXPECT_EQ(vae.size(), 244u);
  EXPECT_EQ(Parameters(vae), 83819683);
  EXPECT_TRUE(Has(vae, "encoder.down_blocks.2.resnets.0.conv_shortcut.weight", {512, 256, 1, 1}));
  EXPECT_TRUE(Has(vae, "decoder.up_blocks.3.resnets.0.conv1.weight", {128, 256, 3, 3}));
  EXPECT_TRUE(Has(vae, "decoder.up_blocks.2.upsamplers.0.conv.weight", {256, 256, 3, 3}));
  EXPECT_TRUE(Has(vae, "decoder.mid_block.attentions.0.to_out.0.bias", {512}));
}

TEST(RandomCheckpoint, RefusesAFolderInUse) {
  const TemporaryFolder folder;
  WriteText(folder / "precious", "x");
  EXPECT_EQ(ErrorOf([&] { WriteRandomCheckpoint(folder.path(), PresetSizes("tiny"), {}); }),
            folder.path() + " is not empty; name a new folder");
}

TEST(RandomCheckpoint, SaysWhichSizesDoNotFit) {
  Sizes sizes = PresetSizes("tiny");
  sizes.transformer.heads = 3;
  EXPECT_EQ(ErrorOf([&] { CheckSizes(sizes); }),
            "impossible sizes: the transformer's dim / heads must be a multiple of 16");
  sizes = PresetSizes("tiny");
  sizes.vae.groups = 7;
  EXPECT_EQ(ErrorOf([&] { CheckSizes(sizes); }),
            "impossible sizes: each of the VAE's channels must be a multiple of its groups");
  sizes = PresetSizes("tiny");
  sizes.text.vocabulary = 300;
  EXPECT_EQ(ErrorOf([&] { CheckSizes(sizes); }), "impossible sizes: the vocabulary must be at least 330");
  EXPECT_EQ(ErrorOf([&] { PresetSizes("huge"); }),
            "no preset \"huge\"; there are: tiny small bench-encoder bench-dit bench-vae");
  for (const PresetName& preset : Presets()) CheckSizes(PresetSizes(preset.name));
}

TEST(RandomCheckpoint, MakesATokenizerWhoseMergesAreTokens) {
  const nlohmann::json tokenizer = nlohmann::json::parse(TokenizerJson());
  const nlohmann::json& vocabulary = tokenizer["model"]["vocab"];
  std::set<int64_t> ids;
  for (const auto& [token, id] : vocabulary.items()) ids.insert(id.get<int64_t>());
  for (const nlohmann::json& added : tokenizer["added_tokens"]) ids.insert(added["id"].get<int64_t>());
  EXPECT_EQ(static_cast<int64_t>(ids.size()), TokenCount());
  EXPECT_EQ(*ids.rbegin(), TokenCount() - 1);
  for (const nlohmann::json& merge : tokenizer["model"]["merges"]) {
    const std::string text = merge.get<std::string>();
    const size_t space = text.find(' ');
    EXPECT_TRUE(vocabulary.contains(text.substr(0, space))) << text;
    EXPECT_TRUE(vocabulary.contains(text.substr(space + 1))) << text;
    EXPECT_TRUE(vocabulary.contains(text.substr(0, space) + text.substr(space + 1))) << text;
  }
  EXPECT_EQ(AddedTokenId("</think>"), TokenCount() - 1);
  EXPECT_EQ(tokenizer["added_tokens"].size(), 26u);
}

TEST(RandomValues, HaveTheMeanAndDeviationAskedFor) {
  constexpr size_t kCount = 200000;
  std::vector<float> values(kCount);
  const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(values.data()), 4 * kCount);
  FillRandom(1, "w", 0.25, 2.0, Dtype::F32, bytes);
  double sum = 0, squares = 0, neighbours = 0;
  for (size_t i = 0; i < kCount; ++i) {
    sum += values[i];
    squares += (values[i] - 0.25) * (values[i] - 0.25);
    if (i > 0) neighbours += (values[i] - 0.25) * (values[i - 1] - 0.25);
  }
  EXPECT_NEAR(sum / kCount, 0.25, 0.02);
  EXPECT_NEAR(std::sqrt(squares / kCount), 2.0, 0.02);
  EXPECT_NEAR(neighbours / kCount, 0.0, 0.04);
}

TEST(RandomValues, RoundToBfloat16) {
  std::vector<float> values(1000);
  std::vector<uint16_t> rounded(1000);
  FillRandom(3, "w", 0.0, 1.0, Dtype::F32, {reinterpret_cast<uint8_t*>(values.data()), 4000});
  FillRandom(3, "w", 0.0, 1.0, Dtype::BF16, {reinterpret_cast<uint8_t*>(rounded.data()), 2000});
  for (size_t i = 0; i < values.size(); ++i) {
    float back = 0;
    const uint32_t bits = static_cast<uint32_t>(rounded[i]) << 16;
    std::memcpy(&back, &bits, 4);
    EXPECT_LE(std::abs(back - values[i]), std::abs(values[i]) / 256) << i;  // half a step of 8 significant bits
  }
}

TEST(RandomCheckpoint, WritesQuantisedModelsAsTheirFilesLook) {
  for (const Dtype dtype : {Dtype::Q8_0, Dtype::Q4_K}) {
    const TemporaryFolder folder;
    Sizes sizes = PresetSizes("tiny");
    sizes.transformer.dim = 256;
    sizes.transformer.heads = 2;
    WriteRandomCheckpoint(folder.path(), sizes, {.quantised = dtype});
    const auto raw = Checkpoint::Open(folder / "transformer");
    const TensorEntry* fused = raw->Find("layers.0.attention.qkv.weight");
    ASSERT_TRUE(fused != nullptr);
    EXPECT_TRUE(fused->dtype == dtype);
    std::vector<float> values(static_cast<size_t>(fused->shape[0] * fused->shape[1]));
    Dequantize(dtype, fused->data, static_cast<int64_t>(values.size()), values.data());
    double sum = 0, squares = 0;
    for (const float value : values) {
      sum += value;
      squares += value * value;
    }
    const auto count = static_cast<double>(values.size());
    EXPECT_NEAR(sum / count, 0, 0.002) << DtypeName(dtype);
    EXPECT_NEAR(std::sqrt(squares / count), 1 / std::sqrt(256.0), 0.002) << DtypeName(dtype);

    const auto transformer = Checkpoint::Open(folder / "transformer", ModelPart::kTransformer);
    EXPECT_TRUE(transformer->Find("layers.0.attention.to_v.weight") != nullptr);
    EXPECT_TRUE(transformer->Find("layers.0.attention_norm1.weight")->dtype == Dtype::F32);
    EXPECT_TRUE(Checkpoint::Open(folder / "text_encoder")->Find("blk.0.ffn_gate.weight") != nullptr);
  }
}

}  // namespace
}  // namespace diptych::random_checkpoint
