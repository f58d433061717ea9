#include "common/inspect/weights_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/lora/lora_file.h"
#include "common/weights/checkpoint.h"
#include "common/weights/safetensors_writer.h"
#include "tests/support/comfyui_files.h"
#include "tests/support/gguf_text_model.h"
#include "tests/support/gguf_writer.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::ComfyUiFile;
using testing::ErrorOf;
using testing::GgufWriter;
using testing::TemporaryFolder;
using testing::WriteText;
using testing::WriteTextGguf;

const std::string kSource = DIPTYCH_SOURCE_DIR;
const std::vector<std::string> kModels = {kSource + "/tests/parity/data/toy_a", kSource + "/tests/parity/data/toy_b",
                                          kSource + "/models/demo"};

struct Part {
  ModelPart part;
  const char* folder;
  void (ComfyUiFile::*add)(const Checkpoint& folder, const std::string& prefix);
  std::string prefix;
};
const Part kParts[] = {
    {ModelPart::kTransformer, "transformer", &ComfyUiFile::AddTransformer, "model.diffusion_model."},
    {ModelPart::kVae, "vae", &ComfyUiFile::AddVae, "first_stage_model."},
    {ModelPart::kTextEncoder, "text_encoder", &ComfyUiFile::AddTextEncoder, "text_encoders.qwen3_4b.transformer."}};

std::shared_ptr<const Checkpoint> FolderOf(const std::string& model, const Part& part) {
  return Checkpoint::Open(model + "/" + part.folder, part.part);
}

// Zeros in F32.
void WriteZeros(const std::string& path, const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
                const SafetensorsMetadata& metadata = {}) {
  std::deque<std::vector<uint8_t>> bytes;
  std::vector<TensorToWrite> written;
  for (const auto& [name, shape] : tensors) {
    const TensorSpec spec{name, Dtype::F32, shape};
    written.push_back({spec, bytes.emplace_back(ByteCount(spec))});
  }
  WriteSafetensors(path, written, metadata);
}

uint64_t ParametersOf(const Checkpoint& weights) {
  uint64_t count = 0;
  for (const auto& [name, tensor] : weights.tensors()) {
    uint64_t one = 1;
    for (const int64_t size : tensor.entry->shape) one *= static_cast<uint64_t>(size);
    count += one;
  }
  return count;
}

TEST(WeightsReport, OfASingleFileIsThatOfItsPart) {
  for (const std::string& model : kModels) {
    for (const Part& part : kParts) {
      for (const std::string& prefix : {std::string(), part.prefix}) {
        SCOPED_TRACE(model + " " + part.folder + " " + prefix);
        const auto folder = FolderOf(model, part);
        const TemporaryFolder scratch;
        ComfyUiFile file;
        (file.*part.add)(*folder, prefix);
        file.Write(scratch / "a.safetensors");
        const WeightsReport report = InspectWeights(scratch / "a.safetensors");
        EXPECT_EQ(report.kind, WeightsKind::kPart);
        EXPECT_EQ(report.what, PartName(part.part));
        EXPECT_EQ(report.container.name, "safetensors");
        EXPECT_EQ(report.container.bytes, fs::file_size(scratch / "a.safetensors"));
        EXPECT_TRUE(report.foreign.empty());
        ASSERT_EQ(report.parts.size(), 1u);
        const PartReport& found = report.parts[0];
        EXPECT_EQ(found.part, part.part);
        EXPECT_EQ(found.problem, "");
        EXPECT_TRUE(found.missing.empty()) << found.missing[0];
        EXPECT_EQ(found.configuration, "its shapes");
        EXPECT_EQ(found.tensors, folder->tensors().size());
        EXPECT_EQ(found.parameters, ParametersOf(*folder));
        EXPECT_FALSE(found.has_tokenizer);
        const auto opened = Checkpoint::Open(scratch / "a.safetensors", part.part);
        EXPECT_EQ(found.layout, opened->LayoutText());
        ASSERT_EQ(found.formats.size(), 1u);
        EXPECT_EQ(found.formats[0].name, folder->tensors().begin()->second.entry->dtype_name());
        EXPECT_EQ(found.formats[0].tensors, found.tensors);
        EXPECT_EQ(found.formats[0].bytes, found.bytes);
        const bool is_wide = found.formats[0].name == "F32";
        const WeightNeed &same = is_wide ? found.in_float32 : found.in_bfloat16,
                         &other = is_wide ? found.in_bfloat16 : found.in_float32;
        EXPECT_EQ(same.copied, 0u);
        EXPECT_GT(same.mapped, 0u);
        EXPECT_EQ(other.mapped, 0u);
        EXPECT_EQ(other.copied, is_wide ? same.mapped / 2 : 2 * same.mapped);
      }
    }
  }
}

TEST(WeightsReport, OfAMergedFileHasEachPartAndWhatIsForeign) {
  const TemporaryFolder scratch;
  ComfyUiFile file;
  std::vector<std::shared_ptr<const Checkpoint>> folders;
  for (const Part& part : kParts) {
    folders.push_back(FolderOf(kModels[0], part));
    (file.*part.add)(*folders.back(), part.prefix);
  }
  file.AddOther("model_ema.decay");
  file.Write(scratch / "all.safetensors");
  const WeightsReport report = InspectWeights(scratch / "all.safetensors");
  EXPECT_EQ(report.kind, WeightsKind::kParts);
  EXPECT_EQ(report.what, "transformer, VAE and text encoder, in one");
  EXPECT_EQ(report.foreign, std::vector<std::string>{"model_ema.decay"});
  ASSERT_EQ(report.parts.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(report.parts[i].part, kParts[i].part);
    EXPECT_EQ(report.parts[i].tensors, folders[i]->tensors().size());
    EXPECT_TRUE(report.parts[i].missing.empty());
  }
}

TEST(WeightsReport, OfACheckpointHasItsParts) {
  for (const std::string& model : kModels) {
    SCOPED_TRACE(model);
    const WeightsReport report = InspectWeights(model);
    EXPECT_EQ(report.kind, WeightsKind::kCheckpoint);
    EXPECT_EQ(report.what, "checkpoint: transformer, VAE and text encoder");
    EXPECT_EQ(report.container.name, "safetensors");
    EXPECT_TRUE(report.lacks.empty());
    ASSERT_EQ(report.parts.size(), 3u);
    size_t files = 0;
    for (size_t i = 0; i < 3; ++i) {
      const PartReport& part = report.parts[i];
      EXPECT_EQ(part.part, kParts[i].part);
      EXPECT_EQ(part.path, (fs::path(model) / kParts[i].folder).string());
      EXPECT_EQ(part.configuration, (fs::path(part.path) / "config.json").string());
      EXPECT_EQ(part.problem, "");
      EXPECT_TRUE(part.missing.empty()) << part.missing[0];
      files += part.container.files;
    }
    EXPECT_EQ(report.container.files, files);
  }
}

TEST(WeightsReport, OfACheckpointSaysWhatIsNotThereAndWhatIsDamaged) {
  const TemporaryFolder scratch;
  fs::copy(kModels[0], scratch / "model", fs::copy_options::recursive);
  fs::remove_all(scratch / "model/vae");
  fs::remove_all(scratch / "model/tokenizer");
  fs::resize_file(scratch / "model/text_encoder/model.safetensors", 1000);
  const WeightsReport report = InspectWeights(scratch / "model");
  EXPECT_EQ(report.lacks, (std::vector<std::string>{"vae", "tokenizer"}));
  ASSERT_EQ(report.parts.size(), 2u);
  EXPECT_FALSE(report.parts[0].is_damaged);
  EXPECT_TRUE(report.parts[1].is_damaged);
  EXPECT_NE(report.parts[1].problem.find("truncated"), std::string::npos) << report.parts[1].problem;
}

TEST(WeightsReport, OfShardsIsThatOfTheirFolderAndNamesWhatIsMissing) {
  const TemporaryFolder scratch;
  fs::copy(kModels[1] + "/transformer", scratch / "transformer", fs::copy_options::recursive);
  WeightsReport report = InspectWeights(scratch / "transformer");
  EXPECT_EQ(report.kind, WeightsKind::kPart);
  EXPECT_EQ(report.container.files, 3u);
  ASSERT_EQ(report.parts.size(), 1u);
  EXPECT_TRUE(report.parts[0].missing.empty());
  const size_t all = report.parts[0].tensors;

  fs::remove(scratch / "transformer/diffusion_pytorch_model-00002-of-00003.safetensors");
  report = InspectWeights(scratch / "transformer");
  ASSERT_EQ(report.parts.size(), 1u);
  ASSERT_FALSE(report.parts[0].missing.empty());
  EXPECT_LT(report.parts[0].tensors, all);
  EXPECT_NE(report.parts[0].missing[0].find("its shard diffusion_pytorch_model-00002-of-00003.safetensors is not there"),
            std::string::npos)
      << report.parts[0].missing[0];
  ASSERT_FALSE(report.warnings.empty());
}

TEST(WeightsReport, NamesWhatOneBlockLacksAndBlocksThatTheConfigurationHas) {
  const TemporaryFolder scratch;
  ComfyUiFile file;
  const auto folder = FolderOf(kModels[0], kParts[0]);
  file.AddTransformer(*folder, "");
  file.AddOther("layers.2.attention_norm1.weight");  // a third block with one tensor
  file.Write(scratch / "a.safetensors");
  const WeightsReport report = InspectWeights(scratch / "a.safetensors");
  ASSERT_EQ(report.parts.size(), 1u);
  const std::vector<std::string>& missing = report.parts[0].missing;
  const auto is_there = [&](const std::string& name) {
    return std::find(missing.begin(), missing.end(), name) != missing.end();
  };
  EXPECT_TRUE(is_there("layers.2.attention.to_q.weight, where it would be layers.2.attention.qkv.weight"));
  EXPECT_FALSE(is_there("layers.2.attention_norm1.weight"));

  std::string config = testing::ReadText(kModels[0] + "/transformer/config.json");
  config.replace(config.find("\"n_layers\": 2"), 13, "\"n_layers\": 5");
  WriteText(scratch / "config.json", config);
  const std::vector<std::string> more = InspectWeights(scratch / "a.safetensors").parts.at(0).missing;
  EXPECT_GT(more.size(), missing.size());
  EXPECT_EQ(InspectWeights(scratch / "a.safetensors").parts[0].configuration, scratch / "config.json");
}

TEST(WeightsReport, OfAPartWithoutItsConfigurationSaysSo) {
  const TemporaryFolder scratch;
  fs::copy(kModels[0] + "/vae", scratch / "vae", fs::copy_options::recursive);
  fs::remove(scratch / "vae/config.json");
  const WeightsReport report = InspectWeights(scratch / "vae");
  ASSERT_EQ(report.parts.size(), 1u);
  EXPECT_NE(report.parts[0].problem.find("config.json: not there"), std::string::npos) << report.parts[0].problem;
  EXPECT_GT(report.parts[0].parameters, 0u);
}

TEST(WeightsReport, OfATextModelInGgufSaysWhetherItHasATokenizer) {
  const TemporaryFolder scratch;
  WriteTextGguf(scratch / "whole.gguf", kModels[0]);
  const WeightsReport whole = InspectWeights(scratch / "whole.gguf");
  EXPECT_EQ(whole.what, "text encoder");
  EXPECT_EQ(whole.container.name, "GGUF");
  ASSERT_EQ(whole.parts.size(), 1u);
  EXPECT_EQ(whole.parts[0].layout, "llama.cpp's names");
  EXPECT_EQ(whole.parts[0].configuration, "its metadata");
  EXPECT_TRUE(whole.parts[0].has_tokenizer.value_or(false));
  EXPECT_TRUE(whole.parts[0].missing.empty());

  GgufWriter file;
  const auto folder = FolderOf(kModels[0], kParts[2]);
  testing::AddTextConfig(file, kModels[0] + "/text_encoder");
  testing::AddTextTensors(file, *folder);
  file.Write(scratch / "bare.gguf");
  EXPECT_FALSE(InspectWeights(scratch / "bare.gguf").parts.at(0).has_tokenizer.value_or(true));
}

TEST(WeightsReport, CountsQuantisedMatricesWhereTheyLie) {
  const TemporaryFolder scratch;
  GgufWriter file;
  file.AddOwnTensor("layers.0.attention.to_q.weight", Dtype::Q8_0, {2, 64}, std::vector<uint8_t>(2 * 2 * 34, 1));
  file.AddOwnTensor("layers.0.attention_norm1.weight", Dtype::F32, {32}, std::vector<uint8_t>(32 * 4));
  file.Write(scratch / "a.gguf");
  const WeightsReport report = InspectWeights(scratch / "a.gguf");
  ASSERT_EQ(report.parts.size(), 1u);
  const PartReport& part = report.parts[0];
  EXPECT_EQ(part.parameters, 2u * 64 + 32);
  ASSERT_EQ(part.formats.size(), 2u);
  EXPECT_EQ(part.formats[0].name, "Q8_0");
  EXPECT_EQ(part.formats[0].bytes, 2u * 2 * 34);
  EXPECT_EQ(part.in_bfloat16.mapped, 2u * 2 * 34);
  EXPECT_EQ(part.in_bfloat16.copied, 32u * 2);
  EXPECT_EQ(part.in_float32.mapped, 2u * 2 * 34 + 32 * 4);
  EXPECT_FALSE(part.missing.empty());  // all the rest
}

TEST(WeightsReport, OfAnotherModelSaysWhich) {
  const TemporaryFolder scratch;
  const auto what_of = [&](const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors) {
    WriteZeros(scratch / "a.safetensors", tensors);
    const WeightsReport report = InspectWeights(scratch / "a.safetensors");
    EXPECT_EQ(report.kind, WeightsKind::kOther) << report.what;
    EXPECT_TRUE(report.parts.empty());
    return report.what;
  };
  EXPECT_EQ(what_of({{"model.diffusion_model.input_blocks.0.0.weight", {1}},
                     {"model.diffusion_model.label_emb.0.0.weight", {1}},
                     {"first_stage_model.decoder.norm_out.weight", {1}},
                     {"first_stage_model.decoder.conv_in.weight", {1, 4, 1, 1}}}),
            "Stable Diffusion XL, another model");
  EXPECT_EQ(what_of({{"encoder.block.0.layer.0.SelfAttention.q.weight", {1}},
                     {"encoder.block.0.layer.0.layer_norm.weight", {1}}}),
            "T5");
  EXPECT_EQ(what_of({{"decoder.norm_out.weight", {1}}, {"decoder.conv_in.weight", {1, 4, 1, 1}}}),
            "the VAE of Stable Diffusion (1.5, 2 or XL), another model");
  EXPECT_EQ(what_of({{"layers.0.attention.to_q.weight", {1}}, {"layers.0.attention.to_q.weight_scale_2", {1}}}),
            "transformer, its weights are quantised as nvfp4, which is not read yet");
  EXPECT_EQ(what_of({{"model.layers.0.self_attn.q_norm.weight", {1}},
                     {"model.layers.0.self_attn.q_proj.weight", {1}},
                     {"model.layers.0.self_attn.q_proj.weight_scale_2", {1}}}),
            "text encoder, its weights are quantised as nvfp4, which is not read yet");
  EXPECT_EQ(what_of({{"something", {1}}}), "nothing that is known, with tensors such as something");
  EXPECT_EQ(what_of({}), "a file without tensors");

  GgufWriter llama;
  llama.Text("general.architecture", "llama");
  llama.AddOwnTensor("blk.0.attn_q.weight", Dtype::F32, {1}, std::vector<uint8_t>(4));
  llama.Write(scratch / "a.gguf");
  const WeightsReport report = InspectWeights(scratch / "a.gguf");
  EXPECT_EQ(report.what, "Llama, Mistral or a kin of theirs");
  EXPECT_NE(report.refusal.find("this is Llama, Mistral"), std::string::npos) << report.refusal;
}

TEST(WeightsReport, OfAVaeInTheCheckpointOfAnotherModelSaysBoth) {
  const TemporaryFolder scratch;
  ComfyUiFile file;
  const auto folder = FolderOf(kModels[0], kParts[1]);
  file.AddVae(*folder, "vae.");
  file.AddOther("model.diffusion_model.double_blocks.0.x.weight");
  file.AddOther("model.diffusion_model.single_blocks.0.x.weight");
  file.Write(scratch / "a.safetensors");
  const WeightsReport report = InspectWeights(scratch / "a.safetensors");
  EXPECT_EQ(report.kind, WeightsKind::kPart);
  EXPECT_EQ(report.what, "VAE, beside FLUX.1, another model");
  EXPECT_EQ(report.foreign.size(), 2u);
}

TEST(WeightsReport, OfALoraAgreesWithItsReader) {
  const std::string data = kSource + "/tests/unit/common/lora/data/";
  const LoraModules modules =
      nlohmann::json::parse(testing::ReadText(data + "goldens.json"))["modules"].get<LoraModules>();
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(data)) {
    if (entry.path().extension() != ".safetensors") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const LoraFile wanted = ReadLora(SafetensorsFile::Open(entry.path()), modules);
    const WeightsReport report = InspectWeights(entry.path());
    EXPECT_EQ(report.kind, WeightsKind::kLora);
    EXPECT_EQ(report.what, "LoRA of Z-Image");
    ASSERT_TRUE(report.lora.has_value());
    std::set<std::string> touched;
    for (const LoraPart& part : wanted.parts) touched.insert(part.module);
    // Layers that these small models do not have count, too: any checkpoint may be meant.
    EXPECT_GE(report.lora->modules, touched.size());
    EXPECT_LE(report.lora->foreign, wanted.unused.size() + wanted.text_encoder.size());
    EXPECT_LE(report.lora->least_rank, wanted.least_rank);
    EXPECT_GE(report.lora->greatest_rank, wanted.greatest_rank);
    EXPECT_EQ(report.lora->trigger_words, wanted.trigger_words);
    EXPECT_EQ(report.lora->base_model, wanted.base_model);
    ++files;
  }
  EXPECT_GT(files, 10u);
  const LoraReport kohya = *InspectWeights(data + "kohya.safetensors").lora;
  const LoraFile wanted = ReadLora(SafetensorsFile::Open(data + "kohya.safetensors"), modules);
  EXPECT_EQ(kohya.least_rank, wanted.least_rank);
  EXPECT_EQ(kohya.greatest_rank, wanted.greatest_rank);
}

TEST(WeightsReport, OfALoraOfAnotherModelSaysWhich) {
  const TemporaryFolder scratch;
  WriteZeros(scratch / "a.safetensors",
             {{"lora_unet_down_blocks_0_attentions_0_transformer_blocks_1_attn1_to_q.lora_down.weight", {4, 8}},
              {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_1_attn1_to_q.lora_up.weight", {8, 4}}});
  const WeightsReport report = InspectWeights(scratch / "a.safetensors");
  EXPECT_EQ(report.kind, WeightsKind::kLora);
  EXPECT_EQ(report.what, "LoRA of Stable Diffusion XL, another model");
  ASSERT_TRUE(report.lora.has_value());
  EXPECT_EQ(report.lora->modules, 0u);
  EXPECT_EQ(report.lora->greatest_rank, 4);
}

TEST(WeightsReport, IsRefusedForWhatCannotBeRead) {
  const TemporaryFolder scratch;
  WriteTextGguf(scratch / "cut.gguf", kModels[0]);
  fs::resize_file(scratch / "cut.gguf", fs::file_size(scratch / "cut.gguf") / 2);
  WriteText(scratch / "page.safetensors", "<!DOCTYPE html><html></html>");
  fs::create_directory(scratch / "empty");
  const auto error_of = [&](const std::string& name) { return ErrorOf([&] { InspectWeights(scratch / name); }); };
  EXPECT_NE(error_of("cut.gguf").find("its download or copy was cut short"), std::string::npos) << error_of("cut.gguf");
  EXPECT_NE(error_of("page.safetensors").find("this is a page (HTML)"), std::string::npos);
  EXPECT_NE(error_of("empty").find("an empty folder"), std::string::npos) << error_of("empty");
  EXPECT_NE(error_of("none.safetensors").find("No such file"), std::string::npos) << error_of("none.safetensors");
}

TEST(WeightsBelow, HasFilesCheckpointsAndFoldersOfShards) {
  const TemporaryFolder scratch;
  for (const char* folder : {"vae", "loras/styles/deep/deeper", "model/transformer", "text_encoders/qwen", "code/tokenizer"}) {
    fs::create_directories(scratch / folder);
  }
  for (const char* file :
       {"b.gguf", "vae/a.safetensors", "vae/a.txt", "loras/styles/deep/x.safetensors", "loras/styles/y.safetensors",
        "loras/styles/deep/deeper/x.safetensors", "model/transformer/x.safetensors",
        "text_encoders/qwen/model-00001-of-00002.safetensors", "text_encoders/qwen/model-00002-of-00002.safetensors"}) {
    WriteText(scratch / file, "");
  }
  const std::vector<std::string> wanted = {scratch / "b.gguf", scratch / "loras/styles/y.safetensors", scratch / "model",
                                           scratch / "text_encoders/qwen", scratch / "vae/a.safetensors"};
  EXPECT_EQ(WeightsBelow(scratch.path()), wanted);
  EXPECT_EQ(WeightsBelow(scratch / "model"), std::vector<std::string>{scratch / "model"});
}

TEST(WeightsBelow, IsRefusedWithoutAny) {
  const TemporaryFolder scratch;
  EXPECT_NE(ErrorOf([&] { WeightsBelow(scratch.path()); }).find("no *.safetensors"), std::string::npos);
  EXPECT_NE(ErrorOf([&] { WeightsBelow(scratch / "none"); }).find("No such file"), std::string::npos);
  WriteText(scratch / "a.gguf", "");
  EXPECT_NE(ErrorOf([&] { WeightsBelow(scratch / "a.gguf"); }).find("a file, expected a folder"), std::string::npos);
}

}  // namespace
}  // namespace diptych
