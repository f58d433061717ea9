// GGUF and fp8 files paint what the folder paints: to the byte where no value is lost, and as the dequantised values
// where some are.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "common/image/png.h"
#include "common/weights/checkpoint.h"
#include "common/weights/dequantize.h"
#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/support/comfyui_files.h"
#include "tests/support/gguf_text_model.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/quantise.h"

namespace diptych::integration {
namespace {

namespace fs = std::filesystem;

using testing::ComfyUiFile;
using testing::GgufWriter;

std::vector<float> FloatsOf(const TensorEntry& entry) {
  const std::vector<uint8_t> bytes = testing::AsFloat(entry);
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<uint8_t> BytesOf(const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * 4);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// The transformer of a folder in the original names, q, k and v fused, as every GGUF of it has them.
std::shared_ptr<const Checkpoint> Original(const std::string& model, const std::string& file) {
  ComfyUiFile single;
  const auto folder = Checkpoint::Open(model + "/transformer");
  single.AddTransformer(*folder, "");
  single.Write(file);
  return Checkpoint::Open(file);
}

// As stored, but for vectors, which are F32 in such files.
void WriteLossless(const Checkpoint& original, const std::string& prefix, const std::string& path) {
  GgufWriter file;
  file.Text("general.architecture", "lumina2");
  for (const auto& [name, tensor] : original.tensors()) {
    if (tensor.entry->shape.size() == 1) {
      file.AddTensorAsFloat(prefix + name, *tensor.entry);
    } else {
      file.AddTensor(prefix + name, *tensor.entry);
    }
  }
  file.Write(path);
}

// Large matrices in `dtype`, under the names that `renamed` makes of theirs, and with what `file` has already; beside it
// a file of the same values, dequantised.
void WriteQuantised(const Checkpoint& original, Dtype dtype, const std::string& gguf, const std::string& dequantised,
                    GgufWriter file = {}, std::string (*renamed)(std::string) = [](std::string name) { return name; }) {
  std::vector<std::vector<uint8_t>> wide;
  std::vector<TensorToWrite> plain;
  wide.reserve(original.tensors().size());
  int quantised = 0;
  for (const auto& [name, tensor] : original.tensors()) {
    std::vector<float> values = FloatsOf(*tensor.entry);
    const std::vector<int64_t>& shape = tensor.entry->shape;
    if (shape.size() == 2 && shape[0] > 1 && shape[1] % 32 == 0) {
      std::vector<uint8_t> blocks = testing::Quantise(dtype, values);
      Dequantize(dtype, blocks.data(), static_cast<int64_t>(values.size()), values.data());
      file.AddOwnTensor(renamed(name), dtype, shape, std::move(blocks));
      ++quantised;
    } else {
      file.AddTensorAsFloat(renamed(name), *tensor.entry);
    }
    wide.push_back(BytesOf(values));
    plain.push_back({{name, Dtype::F32, shape}, wide.back()});
  }
  EXPECT_GT(quantised, 10);
  file.Write(gguf);
  WriteSafetensors(dequantised, plain);
}

std::string Paint(const std::string& model, const Arguments& more, const std::string& dtype, const std::string& file) {
  Arguments arguments = {"generate", "a cat", "--model-path",  model, "--width",  "64", "--height", "64", "--steps", "2",
                         "--seed",   "7",     "--torch-dtype", dtype, "--output", file};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = Diptych(arguments);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return ReadFile(file);
}

TEST(GgufFiles, OfALosslessDitPaintThePictureOfTheFolder) {
  for (const std::string toy : {"toy_a", "toy_b"}) {
    SCOPED_TRACE(toy);
    const Scratch scratch;
    const auto original = Original(ToyPath(toy), scratch / "original.safetensors");
    const std::string wanted = Paint(ToyPath(toy), {}, "float32", scratch / "folder.png");
    for (const std::string prefix : {"", "model.diffusion_model."}) {
      WriteLossless(*original, prefix, scratch / "dit.gguf");
      const std::string png =
          Paint(ToyPath(toy), {"--transformer-path", scratch / "dit.gguf"}, "float32", scratch / "gguf.png");
      EXPECT_TRUE(DecodePng(png).picture.rgb == DecodePng(wanted).picture.rgb) << prefix;
    }
  }
}

// 99.9 % of the values equal, none off by more than 1.
void ExpectAlike(const std::string& found_png, const std::string& wanted_png) {
  const std::vector<uint8_t> found = DecodePng(found_png).picture.rgb, wanted = DecodePng(wanted_png).picture.rgb;
  ASSERT_EQ(found.size(), wanted.size());
  size_t equal = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_LE(std::abs(found[i] - wanted[i]), 1) << "value " << i;
    equal += found[i] == wanted[i] ? 1 : 0;
  }
  EXPECT_GE(equal * 1000, found.size() * 999) << equal << " of " << found.size();
}

class QuantisedGguf : public ::testing::TestWithParam<Dtype> {};

TEST_P(QuantisedGguf, PaintsAsItsDequantisedValuesDo) {
  const Scratch scratch;
  const std::string model = scratch / "model";
  Process make({ProgramPath("diptych-random-checkpoint"), "--output", model, "--dim", "256", "--heads", "2", "--layers",
                "2", "--refiner-layers", "1", "--vae-channels", "32,32,64,64", "--vae-groups", "32"});
  ASSERT_EQ(make.Wait(), 0) << make.Err();
  const auto original = Original(model, scratch / "original.safetensors");
  const std::string gguf = scratch / "dit.gguf", dequantised = scratch / "dit.safetensors";
  WriteQuantised(*original, GetParam(), gguf, dequantised);
  for (const std::string dtype : {"float32", "bfloat16"}) {
    SCOPED_TRACE(dtype);
    const std::string wanted = Paint(model, {"--transformer-path", dequantised}, dtype, scratch / "wanted.png");
    ExpectAlike(Paint(model, {"--transformer-path", gguf}, dtype, scratch / "found.png"), wanted);
    const std::string folder = Paint(model, {}, dtype, scratch / "folder.png");
    EXPECT_FALSE(DecodePng(folder).picture.rgb == DecodePng(wanted).picture.rgb) << "quantisation loses something";
  }
}

TEST_P(QuantisedGguf, OfTheTextModelDoesTheSame) {
  const Scratch scratch;
  const std::string model = scratch / "model";
  Process make({ProgramPath("diptych-random-checkpoint"), "--output", model, "--text-dim", "128", "--text-intermediate",
                "256", "--text-layers", "3"});
  ASSERT_EQ(make.Wait(), 0) << make.Err();
  const auto original = Checkpoint::Open(model + "/text_encoder");
  const std::string gguf = scratch / "text.gguf", dequantised = scratch / "text.safetensors";
  GgufWriter file;
  testing::AddTextConfig(file, model + "/text_encoder");
  testing::AddTokenizer(file, model + "/tokenizer", 384);
  WriteQuantised(*original, GetParam(), gguf, dequantised, file, testing::NameOfLlamaCpp);
  const std::string wanted = Paint(model, {"--text-encoder-path", dequantised}, "float32", scratch / "wanted.png");
  ExpectAlike(Paint(model, {"--text-encoder-path", gguf}, "float32", scratch / "found.png"), wanted);
  EXPECT_FALSE(DecodePng(Paint(model, {}, "float32", scratch / "folder.png")).picture.rgb ==
               DecodePng(wanted).picture.rgb)
      << "quantisation loses something";
}

INSTANTIATE_TEST_SUITE_P(, QuantisedGguf, ::testing::Values(Dtype::Q8_0, Dtype::Q4_0),
                         [](const auto& info) { return std::string(DtypeName(info.param)); });

// In both spellings of scales, with the markers of both, and as a plain cast.
TEST(Fp8Files, PaintAsTheirDequantisedValuesDo) {
  const Scratch scratch;
  const auto original = Original(ToyPath("toy_a"), scratch / "original.safetensors");
  const std::string fp8 = scratch / "fp8.safetensors", dequantised = scratch / "dequantised.safetensors";
  std::vector<std::string> pictures;
  for (const std::string scale_name : {"scale_weight", "weight_scale", ""}) {
    SCOPED_TRACE(scale_name);
    std::deque<std::vector<uint8_t>> own;
    std::vector<TensorToWrite> narrow, wide;
    const auto add = [&](std::vector<TensorToWrite>& to, const std::string& name, Dtype dtype,
                         const std::vector<int64_t>& shape, std::vector<uint8_t> bytes) {
      own.push_back(std::move(bytes));
      to.push_back({{name, dtype, shape}, own.back()});
    };
    for (const auto& [name, tensor] : original->tensors()) {
      std::vector<float> values = FloatsOf(*tensor.entry);
      const std::vector<int64_t>& shape = tensor.entry->shape;
      if (shape.size() == 2 && shape[0] > 1) {
        const float scale = scale_name.empty() ? 1.0f : 0.0123f;
        std::vector<uint8_t> bytes = testing::ToFp8(values, scale);
        Dequantize(Dtype::F8_E4M3, bytes.data(), static_cast<int64_t>(values.size()), values.data());
        for (float& value : values) value *= scale;
        add(narrow, name, Dtype::F8_E4M3, shape, std::move(bytes));
        const std::string layer = name.substr(0, name.size() - std::string("weight").size());
        if (!scale_name.empty()) add(narrow, layer + scale_name, Dtype::F32, {}, BytesOf(std::vector<float>{scale}));
        if (!scale_name.empty()) add(narrow, layer + "input_scale", Dtype::F32, {}, BytesOf(std::vector<float>{7}));
      } else {
        add(narrow, name, Dtype::F32, shape, BytesOf(values));
      }
      add(wide, name, Dtype::F32, shape, BytesOf(values));
    }
    if (scale_name == "scale_weight") add(narrow, "scaled_fp8", Dtype::F8_E4M3, {0}, {});
    if (scale_name == "weight_scale") add(narrow, "layers.0.attention.qkv.comfy_quant", Dtype::U8, {2}, {'{', '}'});
    WriteSafetensors(fp8, narrow);
    WriteSafetensors(dequantised, wide);
    const std::string wanted =
        Paint(ToyPath("toy_a"), {"--transformer-path", dequantised}, "float32", scratch / "wanted.png");
    pictures.push_back(Paint(ToyPath("toy_a"), {"--transformer-path", fp8}, "float32", scratch / "found.png"));
    ExpectAlike(pictures.back(), wanted);
  }
  EXPECT_TRUE(pictures[0] == pictures[1]) << "one model, however its scales are called";
  EXPECT_FALSE(DecodePng(pictures[0]).picture.rgb == DecodePng(pictures[2]).picture.rgb);
}

}  // namespace
}  // namespace diptych::integration
