// The text model of a folder as one GGUF file: names, tokenizer, where its configuration comes from.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/source_files/files_read.h"
#include "common/tokenizer/find_tokenizer.h"
#include "common/weights/checkpoint.h"
#include "common/weights/load_tokenizer.h"
#include "common/weights/part_source.h"
#include "tests/support/gguf_text_model.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::AddTextTensors;
using testing::ErrorOf;
using testing::GgufWriter;
using testing::TemporaryFolder;
using testing::WriteText;
using testing::WriteTextGguf;

const std::string kSource = DIPTYCH_SOURCE_DIR;
const std::vector<std::string> kModels = {kSource + "/tests/parity/data/toy_a", kSource + "/tests/parity/data/toy_b",
                                          kSource + "/models/demo"};

std::shared_ptr<const Checkpoint> OpenText(const std::string& path) {
  return Checkpoint::Open(path, ModelPart::kTextEncoder);
}

TEST(TextGguf, HasTheTensorsOfTheFolder) {
  for (const std::string& model : kModels) {
    SCOPED_TRACE(model);
    const TemporaryFolder scratch;
    WriteTextGguf(scratch / "model.gguf", model);
    const auto folder = OpenText(model + "/text_encoder"), file = OpenText(scratch / "model.gguf");
    EXPECT_EQ(file->LayoutText(), "llama.cpp's names");
    EXPECT_TRUE(file->warnings().empty());
    EXPECT_TRUE(file->gguf() != nullptr);
    EXPECT_TRUE(folder->gguf() == nullptr);
    EXPECT_EQ(file->tensors().size(), folder->tensors().size());
    for (const auto& [name, tensor] : folder->tensors()) {
      const bool is_bare = !name.starts_with("model.") && !name.starts_with("lm_head.");
      const TensorEntry* const found = file->Find(is_bare ? "model." + name : name);
      ASSERT_TRUE(found != nullptr) << name;
      EXPECT_EQ(found->shape, tensor.entry->shape) << name;
      const std::vector<uint8_t> wanted = testing::AsFloat(*tensor.entry), values = testing::AsFloat(*found);
      EXPECT_TRUE(values == wanted) << name;
      EXPECT_EQ(found->dtype, tensor.entry->shape.size() == 1 ? Dtype::F32 : tensor.entry->dtype) << name;
    }
  }
}

TEST(TextGguf, NamesATensorThatIsMissingAsTheFileWould) {
  const TemporaryFolder scratch;
  WriteTextGguf(scratch / "model.gguf", kModels[0]);
  EXPECT_EQ(OpenText(scratch / "model.gguf")->Absent("model.layers.7.mlp.up_proj.weight"),
            ", where it would be blk.7.ffn_up.weight");
}

TEST(TextGguf, MayBeQuantised) {
  const TemporaryFolder scratch;
  GgufWriter file;
  file.Text("general.architecture", "qwen3");
  file.AddOwnTensor("blk.0.attn_q.weight", Dtype::Q8_0, {2, 64}, std::vector<uint8_t>(2 * 2 * 34, 1));
  file.AddOwnTensor("blk.0.attn_q_norm.weight", Dtype::F32, {32}, std::vector<uint8_t>(32 * 4));
  file.Write(scratch / "model.gguf");
  const auto opened = OpenText(scratch / "model.gguf");
  const TensorEntry* const found = opened->Find("model.layers.0.self_attn.q_proj.weight");
  ASSERT_TRUE(found != nullptr);
  EXPECT_EQ(found->dtype, Dtype::Q8_0);
  EXPECT_EQ(found->shape, (std::vector<int64_t>{2, 64}));
  EXPECT_EQ(found->byte_count, 2u * 2 * 34);
}

TEST(TextGguf, IsRefusedAsAnotherPart) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf";
  WriteTextGguf(path, kModels[0]);
  for (const ModelPart part : {ModelPart::kTransformer, ModelPart::kVae}) {
    const std::string refusal = ErrorOf([&] { Checkpoint::Open(path, part); });
    EXPECT_EQ(refusal.find(path + ": this is a text model: give it as --text-encoder-path"), 0u) << refusal;
  }
}

TEST(TextGguf, OfAnotherArchitectureIsRefusedWhateverItsNames) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf";
  const auto model = OpenText(kModels[0] + "/text_encoder");
  GgufWriter file;
  file.Text("general.architecture", "qwen3vl");
  AddTextTensors(file, *model);
  file.Write(path);
  const std::string refusal = ErrorOf([&] { OpenText(path); });
  EXPECT_EQ(refusal.find(path + ": this is a model that sees pictures (Qwen3-VL); give"), 0u) << refusal;

  GgufWriter odd;
  odd.Number("general.architecture", uint32_t{3});
  odd.Write(path);
  EXPECT_EQ(ErrorOf([&] { OpenText(path); }), path + ": metadata general.architecture: expected a string, found u32");
}

TEST(TextGguf, IsRefusedAsOneOfSeveralFiles) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model-00001-of-00003.gguf";
  for (const uint16_t count : {uint16_t{1}, uint16_t{3}}) {
    GgufWriter file;
    file.Number("split.count", count);
    file.Write(path);
    EXPECT_EQ(ErrorOf([&] { OpenText(path); }),
              count == 1 ? ""
                         : path +
                               ": one of 3 files of a split model; make one file of them: llama-gguf-split "
                               "--merge FIRST_FILE MODEL.gguf");
  }
}

TEST(TextGguf, CarriesTheTokenizer) {
  for (const std::string& model : kModels) {
    SCOPED_TRACE(model);
    const TemporaryFolder scratch;
    WriteTextGguf(scratch / "model.gguf", model);
    const std::string place = FindTokenizer("", scratch / "model.gguf").string();
    EXPECT_EQ(place, scratch / "model.gguf");
    const std::string wanted = LoadTokenizer(model + "/tokenizer").Identity();
    const FilesReadHere reading;
    EXPECT_EQ(LoadTokenizer(place).Identity(), wanted);
    ASSERT_FALSE(reading.files().empty());
    EXPECT_EQ(reading.files()[0].path, place) << "so that a file that is replaced meanwhile is noticed";
  }
}

TEST(TextGguf, SaysThatItCarriesNoTokenizer) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf";
  GgufWriter file;
  file.Text("general.architecture", "qwen3");
  file.Write(path);
  EXPECT_EQ(ErrorOf([&] { LoadTokenizer(path); }),
            path +
                ": no tokenizer beside it, and it carries none (tokenizer.ggml.tokens); put tokenizer.json of the "
                "same model beside it, or name the folder of a checkpoint as --model-path");
  file.Texts("tokenizer.ggml.tokens", {"a"});
  file.Write(path);
  EXPECT_EQ(ErrorOf([&] { LoadTokenizer(path); }).find(path + ": metadata tokenizer.ggml.model is missing"), 0u);
}

TEST(TextGguf, StatesItsConfigurationWhereNoFileDoes) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf", model = scratch / "model", beside = scratch / "config.json";
  const auto part_of = [&](const std::string& model_path) {
    return OpenPart(path, ModelPart::kTextEncoder, model_path);
  };
  WriteTextGguf(path, kModels[0]);
  const PartSource own = part_of("");
  EXPECT_EQ(own.config_file, "");
  EXPECT_TRUE(own.metadata == own.weights->gguf() && own.metadata != nullptr);
  EXPECT_EQ(own.notes, (std::vector<std::string>{"configuration of " + path + " taken from its metadata",
                                                 path + " has llama.cpp's names"}));
  std::filesystem::create_directories(model + "/text_encoder");
  WriteText(model + "/text_encoder/config.json", R"({"model_type": "qwen3"})");
  EXPECT_EQ(part_of(model).ConfigOrigin(), model + "/text_encoder/config.json");
  WriteText(beside, R"({"model_type": "qwen3"})");
  EXPECT_EQ(part_of(model).ConfigOrigin(), beside);
  std::filesystem::remove(beside);

  const auto tensors = OpenText(kModels[0] + "/text_encoder");
  GgufWriter silent;
  silent.Text("general.architecture", "qwen3");
  AddTextTensors(silent, *tensors);
  silent.Write(path);
  EXPECT_TRUE(part_of("").metadata == nullptr);
  EXPECT_EQ(part_of("").ConfigOrigin(), "its shapes");
}

}  // namespace
}  // namespace diptych
