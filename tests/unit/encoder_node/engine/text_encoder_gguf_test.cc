// The text model of a folder as one GGUF file, without any other file: the same rows to the bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "encoder_node/engine/text_encoder.h"
#include "tests/support/gguf_text_model.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::ErrorOf;
using testing::ReadText;
using testing::TemporaryFolder;
using testing::WriteText;
using testing::WriteTextGguf;

const std::string kSource = DIPTYCH_SOURCE_DIR;
const std::string kToyA = kSource + "/tests/parity/data/toy_a", kToyB = kSource + "/tests/parity/data/toy_b",
                  kDemo = kSource + "/models/demo";

std::unique_ptr<PromptEncoder> Load(const std::string& weights, const std::string& tokenizer, const std::string& dtype,
                                    const std::string& model_path = "") {
  TextEncoderOptions options{.text_encoder_path = weights, .tokenizer_path = tokenizer, .config_path = model_path};
  options.device = "cpu";
  options.torch_dtype = dtype;
  return LoadTextEncoder(options);
}

Conditioning Encode(PromptEncoder& encoder) {
  return encoder.Encode({.text = "<|im_start|>user\nA cat, \"asleep\" caf\u0065\u0301 \u732b<|im_end|>\n"}, {}, {});
}

bool Mentions(const std::vector<std::string>& lines, const std::string& text) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) { return line.find(text) != line.npos; });
}

TEST(TextEncoderOfGguf, MakesTheRowsOfTheFolder) {
  for (const std::string& model : {kToyA, kToyB, kDemo}) {
    const TemporaryFolder scratch;
    const std::string path = scratch / "model.gguf";
    WriteTextGguf(path, model);
    for (const std::string dtype : {"bfloat16", "float32"}) {
      SCOPED_TRACE(model + " " + dtype);
      const auto folder = Load(model + "/text_encoder", model + "/tokenizer", dtype);
      const auto file = Load(path, path, dtype);
      const Conditioning wanted = Encode(*folder), found = Encode(*file);
      EXPECT_GT(found.bytes.size(), 1000u);
      EXPECT_TRUE(found.bytes == wanted.bytes);
      EXPECT_EQ(file->facts().tokenizer_fingerprint, folder->facts().tokenizer_fingerprint);
      EXPECT_TRUE(file->facts().warnings.empty()) << file->facts().warnings.at(0);
      EXPECT_TRUE(Mentions(file->facts().notes, "configuration of " + path + " taken from its metadata"));
      EXPECT_TRUE(Mentions(file->facts().notes, path + " has llama.cpp's names"));
    }
  }
}

// Names, number formats and facts are the same there; the others have norms in another format.
TEST(TextEncoderOfGguf, IsTheModelOfAFolderInFloat32) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf";
  WriteTextGguf(path, kToyA);
  EXPECT_EQ(Load(path, path, "float32")->facts().model_fingerprint,
            Load(kToyA + "/text_encoder", kToyA + "/tokenizer", "float32")->facts().model_fingerprint);
}

TEST(TextEncoderOfGguf, NoticesThatItsFileWasChanged) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf";
  WriteTextGguf(path, kToyA);
  const auto encoder = Load(path, path, "float32");
  EXPECT_NO_THROW(encoder->ThrowIfChanged());
  EXPECT_TRUE(encoder->LookAtFiles().lines.empty());
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-64, std::ios::end);
    file << "changed";
  }
  EXPECT_NE(ErrorOf([&] { encoder->ThrowIfChanged(); }).find(path + ": was changed while in use"), std::string::npos);
  EXPECT_NE(ErrorOf([&] { Encode(*encoder); }).find(path + ": was changed while in use"), std::string::npos);
  EXPECT_NE(encoder->LookAtFiles().refused, "");
}

TEST(TextEncoderOfGguf, GoesByTheConfigurationBesideIt) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf", config = scratch / "config.json";
  WriteTextGguf(path, kToyA);
  const std::string text = ReadText(kToyA + "/text_encoder/config.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    WriteText(config, changed);
  };
  with("1000000.0", "5000000.0");
  const auto warned = Load(path, path, "float32");
  EXPECT_TRUE(Mentions(warned->facts().warnings, config + " and the metadata of " + path +
                                                     " differ: rope_theta 5000000 and 1000000; the former is taken"));
  EXPECT_FALSE(Encode(*warned).bytes == Encode(*Load(kToyA + "/text_encoder", kToyA + "/tokenizer", "float32")).bytes);
  with("\"intermediate_size\": 96", "\"intermediate_size\": 64");
  const std::string refusal = ErrorOf([&] { Load(path, path, "float32"); });
  EXPECT_NE(refusal.find("model.layers.0.mlp."), std::string::npos) << refusal;
  EXPECT_NE(refusal.find(": expected shape ["), std::string::npos) << refusal;
  EXPECT_NE(refusal.find(" in " + path), std::string::npos) << refusal;
  EXPECT_NE(refusal.find("; the configuration is that of " + config), std::string::npos) << refusal;
}

TEST(TextEncoderOfGguf, SaysWhatMayStateWhatIsMissing) {
  const TemporaryFolder scratch;
  const std::string path = scratch / "model.gguf";
  const auto model = Checkpoint::Open(kToyA + "/text_encoder", ModelPart::kTextEncoder);
  testing::GgufWriter file;
  file.Number("qwen3.block_count", uint32_t{3});
  AddTokenizer(file, kToyA + "/tokenizer", 1008);
  AddTextTensors(file, *model);
  file.Write(path);
  EXPECT_EQ(ErrorOf([&] { Load(path, path, "float32"); }),
            path +
                ": metadata qwen3.embedding_length is missing; the config.json of this text model beside the file "
                "would state it");
  const auto encoder = Load(path, path, "float32", kToyA);
  EXPECT_TRUE(Mentions(encoder->facts().notes, "taken from " + kToyA + "/text_encoder/config.json"));
  EXPECT_TRUE(Mentions(encoder->facts().warnings, kToyA + "/text_encoder/config.json is taken"));
}

}  // namespace
}  // namespace diptych
