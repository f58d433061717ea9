// Goldens: make_lora_goldens.py beside this file.
#include "common/lora/lora_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::ErrorOf;
using testing::ReadText;
using testing::TemporaryFolder;

const std::string kData = DIPTYCH_SOURCE_DIR "/tests/unit/common/lora/data/";

// Row-major.
struct Dense {
  int64_t rows, columns;
  std::vector<double> values;

  double& At(int64_t row, int64_t column) { return values[static_cast<size_t>(row * columns + column)]; }
  double At(int64_t row, int64_t column) const { return values[static_cast<size_t>(row * columns + column)]; }
};

Dense Zeros(int64_t rows, int64_t columns) {
  return {rows, columns, std::vector<double>(static_cast<size_t>(rows * columns))};
}

double HalfOf(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  return sign * (exponent == 0 ? std::ldexp(bits & 0x3ff, -24) : std::ldexp((bits & 0x3ff) + 1024, exponent - 25));
}

Dense ValuesOf(const TensorEntry& tensor) {
  Dense dense = Zeros(tensor.shape[0], tensor.shape.size() > 1 ? tensor.shape[1] : 1);
  for (size_t i = 0; i < dense.values.size(); ++i) {
    uint16_t half = 0;
    float value = 0;
    if (tensor.dtype == Dtype::F32) {
      std::memcpy(&value, tensor.data + 4 * i, 4);
      dense.values[i] = value;
      continue;
    }
    std::memcpy(&half, tensor.data + 2 * i, 2);
    if (tensor.dtype == Dtype::F16) {
      dense.values[i] = HalfOf(half);
    } else {
      const uint32_t bits = static_cast<uint32_t>(half) << 16;
      std::memcpy(&value, &bits, 4);
      dense.values[i] = value;
    }
  }
  return dense;
}

Dense Product(const Dense& a, const Dense& b) {
  Dense product = Zeros(a.rows, b.columns);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.columns; ++j) {
      for (int64_t k = 0; k < a.columns; ++k) product.At(i, j) += a.At(i, k) * b.At(k, j);
    }
  }
  return product;
}

Dense ValuesOf(const LoraFactor& factor) {
  const Dense a = ValuesOf(*factor.a);
  return factor.b == nullptr ? a : Product(a, ValuesOf(*factor.b));
}

Dense Matrix(const LowRankChange& change) {
  Dense up = ValuesOf(*change.up);
  if (change.mid != nullptr) up = Product(up, ValuesOf(*change.mid));
  return Product(up, ValuesOf(*change.down));
}
Dense Matrix(const HadamardChange& change) {
  Dense product = ValuesOf(change.w1);
  const Dense w2 = ValuesOf(change.w2);
  for (size_t i = 0; i < product.values.size(); ++i) product.values[i] *= w2.values[i];
  return product;
}
Dense Matrix(const KroneckerChange& change) {
  const Dense w1 = ValuesOf(change.w1), w2 = ValuesOf(change.w2);
  Dense product = Zeros(w1.rows * w2.rows, w1.columns * w2.columns);
  for (int64_t i = 0; i < product.rows; ++i) {
    for (int64_t j = 0; j < product.columns; ++j) {
      product.At(i, j) = w1.At(i / w2.rows, j / w2.columns) * w2.At(i % w2.rows, j % w2.columns);
    }
  }
  return product;
}
Dense Matrix(const FullChange& change) { return ValuesOf(*change.difference); }
Dense Matrix(const BiasChange& change) { return ValuesOf(*change.difference); }

// What the part adds at strength 1 to `weight`, of its layer.
Dense Effect(const LoraPart& part, const Dense& weight) {
  const Dense whole = std::visit([](const auto& change) { return Matrix(change); }, part.change);
  Dense effect = Zeros(part.rows, part.columns);
  for (int64_t i = 0; i < part.rows; ++i) {
    for (int64_t j = 0; j < part.columns; ++j) effect.At(i, j) = part.scale * whole.At(part.first_row + i, j);
  }
  if (part.magnitude.tensor == nullptr) return effect;
  const Dense m = ValuesOf(*part.magnitude.tensor);
  Dense changed = effect;
  for (size_t i = 0; i < changed.values.size(); ++i) changed.values[i] += weight.values[i];
  for (int64_t i = 0; i < part.rows; ++i) {
    for (int64_t j = 0; j < part.columns; ++j) {
      double norm = 0;
      for (int64_t k = 0; k < (part.magnitude.is_by_row ? part.columns : part.rows); ++k) {
        norm += std::pow(part.magnitude.is_by_row ? changed.At(i, k) : changed.At(k, j), 2);
      }
      const size_t at = static_cast<size_t>(part.magnitude.is_by_row ? part.first_row + i : j);
      effect.At(i, j) = changed.At(i, j) * m.values[at] / std::sqrt(norm) - weight.At(i, j);
    }
  }
  return effect;
}

const nlohmann::json& Goldens() {
  static const nlohmann::json goldens = nlohmann::json::parse(ReadText(kData + "goldens.json"));
  return goldens;
}

LoraModules ToyModules() { return Goldens()["modules"].get<LoraModules>(); }

constexpr char kQ[] = "layers.0.attention.to_q";

void ExpectSame(const Dense& found, const nlohmann::json& golden, const std::string& module) {
  const auto expected = golden.get<std::vector<double>>();
  ASSERT_EQ(found.values.size(), expected.size()) << module;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found.values[i], expected[i], 1e-7 * (1 + std::abs(expected[i]))) << module << ", element " << i;
  }
}

std::vector<std::string> NamesOf(const std::vector<UnusedTensor>& unused) {
  std::vector<std::string> names;
  for (const UnusedTensor& tensor : unused) names.push_back(tensor.name);
  return names;
}

TEST(LoraFile, DoesWhatEveryStyleSays) {
  const LoraModules modules = ToyModules();
  size_t files = 0;
  for (const auto& [name, golden] : Goldens()["files"].items()) {
    SCOPED_TRACE(name);
    ++files;
    const auto file = SafetensorsFile::Open(kData + name + ".safetensors");
    const LoraFile lora = ReadLora(file, modules);
    std::set<std::string> deltas, biases;
    for (const LoraPart& part : lora.parts) {
      ASSERT_TRUE(modules.contains(part.module)) << part.module;
      const auto& shape = modules.at(part.module);
      EXPECT_EQ(part.rows, shape[0]) << part.module;
      if (std::holds_alternative<BiasChange>(part.change)) {
        ASSERT_TRUE(golden["biases"].contains(part.module)) << part.module;
        ExpectSame(Effect(part, {}), golden["biases"][part.module], part.module);
        EXPECT_TRUE(biases.insert(part.module).second) << part.module;
        continue;
      }
      EXPECT_EQ(part.columns, shape[1]) << part.module;
      ASSERT_TRUE(golden["deltas"].contains(part.module)) << part.module;
      const Dense weight{shape[0], shape[1], Goldens()["weights"][part.module].get<std::vector<double>>()};
      ExpectSame(Effect(part, weight), golden["deltas"][part.module], part.module);
      EXPECT_TRUE(deltas.insert(part.module).second) << part.module;
    }
    EXPECT_EQ(deltas.size(), golden["deltas"].size());
    EXPECT_EQ(biases.size(), golden["biases"].size());
    EXPECT_EQ(NamesOf(lora.unused), golden["unused"].get<std::vector<std::string>>());
    EXPECT_EQ(lora.text_encoder, golden["text_encoder"].get<std::vector<std::string>>());
    EXPECT_EQ(lora.used, golden["used"].get<size_t>());
    EXPECT_EQ(lora.used + lora.unused.size() + lora.text_encoder.size(), file->tensors().size());
    EXPECT_EQ(lora.trigger_words, golden.value("trigger_words", std::vector<std::string>()));
    EXPECT_EQ(lora.base_model, golden.value("base_model", ""));
  }
  EXPECT_EQ(files, 17u);
}

TEST(LoraFile, SaysItsRanksAndWhyATensorIsUnused) {
  const LoraFile kohya = ReadLora(SafetensorsFile::Open(kData + "kohya.safetensors"), ToyModules());
  EXPECT_EQ(kohya.least_rank, 2);
  EXPECT_EQ(kohya.greatest_rank, 4);
  const LoraFile foreign = ReadLora(SafetensorsFile::Open(kData + "foreign_beside.safetensors"), ToyModules());
  std::map<std::string, NotUsed> why;
  for (const UnusedTensor& tensor : foreign.unused) why[tensor.name] = tensor.why;
  EXPECT_EQ(why.at("diffusion_model.layers.7.attention.to_q.lora_A.weight"), NotUsed::kNoSuchLayer);
  EXPECT_EQ(why.at("diffusion_model.layers.0.attention_norm1.diff"), NotUsed::kNoSuchLayer);
  EXPECT_EQ(why.at("diffusion_model.layers.0.attention.to_v.oft_blocks"), NotUsed::kUnknownKind);
  EXPECT_EQ(why.at("diffusion_model.layers.0.attention.to_k.alpha"), NotUsed::kAlone);
  for (const NotUsed one : {NotUsed::kNoSuchLayer, NotUsed::kUnknownKind, NotUsed::kSaidElsewhere, NotUsed::kAlone}) {
    EXPECT_FALSE(Reason(one).empty());
  }
}

// --- files made here ---

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values = {};  // none: all of them 1
  Dtype dtype = Dtype::F32;
};

std::shared_ptr<const SafetensorsFile> FileOf(const TemporaryFolder& folder, const std::vector<Tensor>& tensors,
                                              const SafetensorsMetadata& metadata = {}) {
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<TensorToWrite> to_write;
  for (const Tensor& tensor : tensors) {
    const TensorSpec spec{tensor.name, tensor.dtype, tensor.shape};
    std::vector<float> values = tensor.values;
    values.resize((ByteCount(spec) + 3) / 4, 1);
    std::vector<uint8_t> raw(ByteCount(spec));
    if (!raw.empty()) std::memcpy(raw.data(), values.data(), raw.size());
    bytes.push_back(std::move(raw));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    to_write.push_back({{tensors[i].name, tensors[i].dtype, tensors[i].shape}, bytes[i]});
  }
  WriteSafetensors(folder / "style.safetensors", to_write, metadata);
  return SafetensorsFile::Open(folder / "style.safetensors");
}

const LoraModules kModules = {{kQ, {6, 6}},
                              {"layers.0.attention.to_k", {6, 6}},
                              {"layers.0.attention.to_v", {6, 6}},
                              {"layers.0.attention.to_out.0", {6, 6}},
                              {"layers.0.feed_forward.w1", {8, 6}}};

// What ReadLora says, without the folder.
std::string Refusal(const std::vector<Tensor>& tensors, const SafetensorsMetadata& metadata = {}) {
  const TemporaryFolder folder;
  const auto file = FileOf(folder, tensors, metadata);
  const std::string message = ErrorOf([&] { ReadLora(file, kModules); });
  if (message.empty()) return "";
  EXPECT_TRUE(message.starts_with(folder.path())) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message.substr(folder.path().size() + 1);
}

const Tensor kDown{"diffusion_model.layers.0.attention.to_q.lora_A.weight", {2, 6}};
const Tensor kUp{"diffusion_model.layers.0.attention.to_q.lora_B.weight", {6, 2}};

Tensor Reshaped(Tensor tensor, std::vector<int64_t> shape) {
  tensor.shape = std::move(shape);
  return tensor;
}
Tensor Alpha(std::vector<int64_t> shape, std::vector<float> values, Dtype dtype = Dtype::F32) {
  return {"diffusion_model.layers.0.attention.to_q.alpha", std::move(shape), std::move(values), dtype};
}
Tensor OfQ(const std::string& role, std::vector<int64_t> shape) {
  return {"diffusion_model.layers.0.attention.to_q." + role, std::move(shape)};
}

TEST(LoraFile, NamesFileTensorAndBothShapesForAnotherWidth) {
  EXPECT_EQ(
      Refusal({Reshaped(kDown, {2, 5}), kUp}),
      "style.safetensors: tensor diffusion_model.layers.0.attention.to_q.lora_A.weight: expected [rank, 6], found "
      "[2, 5]; it is for a model of another width");
  EXPECT_EQ(
      Refusal({kDown, Reshaped(kUp, {7, 2})}),
      "style.safetensors: tensor diffusion_model.layers.0.attention.to_q.lora_B.weight: expected [6, rank], found "
      "[7, 2]; it is for a model of another width");
  EXPECT_EQ(
      Refusal({OfQ("lokr_w1", {2, 2}), OfQ("lokr_w2", {3, 4})}),
      "style.safetensors: tensor diffusion_model.layers.0.attention.to_q.lokr_w2: the layer layers.0.attention.to_q: "
      "expected factors whose product is [6, 6], found [2, 2] and [3, 4]; it is for a model of another width");
  EXPECT_NE(
      Refusal({{"layers.0.attention.qkv.lora_up.weight", {6, 2}}, {"layers.0.attention.qkv.lora_down.weight", {2, 6}}})
          .find("expected [18, rank], found [6, 2]"),
      std::string::npos);
  EXPECT_NE(Refusal({OfQ("diff", {6, 5})}).find("expected [6, 6], found [6, 5]"), std::string::npos);
  EXPECT_NE(Refusal({OfQ("diff_b", {5})}).find("expected [6], found [5]"), std::string::npos);
}

TEST(LoraFile, RefusesWhatLacksAHalf) {
  EXPECT_EQ(
      Refusal({kDown}),
      "style.safetensors: tensor diffusion_model.layers.0.attention.to_q.lora_A.weight: the addition to the layer "
      "layers.0.attention.to_q lacks its lora_B");
  EXPECT_NE(Refusal({kUp}).find("lacks its lora_A"), std::string::npos);
  EXPECT_NE(Refusal({OfQ("hada_w1_a", {6, 2}), OfQ("hada_w1_b", {2, 6}), OfQ("hada_w2_a", {6, 2})})
                .find("lacks its hada_w2_b"),
            std::string::npos);
  EXPECT_NE(Refusal({OfQ("lokr_w1", {2, 2})}).find("lacks its lokr_w2"), std::string::npos);
  EXPECT_NE(Refusal({OfQ("lokr_w1", {2, 2}), OfQ("lokr_w2_a", {3, 1})}).find("lacks its lokr_w2_b"), std::string::npos);
}

TEST(LoraFile, RefusesRanksThatDiffer) {
  EXPECT_EQ(Refusal({kDown, Reshaped(kUp, {6, 3})}),
            "style.safetensors: tensor diffusion_model.layers.0.attention.to_q.lora_B.weight: of rank 3, but tensor "
            "diffusion_model.layers.0.attention.to_q.lora_A.weight of rank 2");
  EXPECT_NE(Refusal({Reshaped(kDown, {0, 6}), Reshaped(kUp, {6, 0})}).find("of rank 0"), std::string::npos);
  EXPECT_NE(
      Refusal({OfQ("hada_w1_a", {6, 2}), OfQ("hada_w1_b", {2, 6}), OfQ("hada_w2_a", {6, 3}), OfQ("hada_w2_b", {3, 6})})
          .find("of rank 3, but"),
      std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, OfQ("lora_mid.weight", {2, 3})}).find("expected [2, 2], found [2, 3]"),
            std::string::npos);
}

TEST(LoraFile, RefusesAnAlphaThatIsNoFiniteNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(
      Refusal({kDown, kUp, Alpha({}, {nan})}),
      "style.safetensors: tensor diffusion_model.layers.0.attention.to_q.alpha: expected a finite number, found nan");
  EXPECT_NE(Refusal({kDown, kUp, Alpha({1}, {std::numeric_limits<float>::infinity()})}).find("found inf"),
            std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, Alpha({2}, {1, 1})}).find("expected one number, [] or [1], found [2]"),
            std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, Alpha({0}, {})}).find("found [0]"), std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, Alpha({}, {}, Dtype::U8)}).find("found U8"), std::string::npos);
}

TEST(LoraFile, IgnoresTheAlphaOfTwoWholeFactorsWhateverItIs) {
  const TemporaryFolder folder;
  const LoraFile lora = ReadLora(FileOf(folder, {OfQ("lokr_w1", {2, 2}), OfQ("lokr_w2", {3, 3}),
                                                 Alpha({}, {std::numeric_limits<float>::quiet_NaN()})}),
                                 kModules);
  ASSERT_EQ(lora.parts.size(), 1u);
  EXPECT_EQ(lora.parts[0].scale, 1);
  EXPECT_EQ(lora.parts[0].rank, 0);
  EXPECT_EQ(lora.used, 3u);
}

TEST(LoraFile, RefusesAnAdditionThatIsThereTwiceAndNotTheSame) {
  Tensor other{"lora_unet_layers_0_attention_to_q.lora_down.weight", {2, 6}, {5}};
  EXPECT_EQ(
      Refusal({kDown, kUp, other}),
      "style.safetensors: tensor lora_unet_layers_0_attention_to_q.lora_down.weight: tensor "
      "diffusion_model.layers.0.attention.to_q.lora_A.weight is the same part of the layer layers.0.attention.to_q "
      "with other values; give a file with one of them");
  EXPECT_NE(Refusal({kDown, kUp, OfQ("diff", {6, 6})}).find("another kind of addition"), std::string::npos);
  EXPECT_NE(Refusal({kDown,
                     kUp,
                     {"layers.0.attention.qkv.lora_down.weight", {2, 6}},
                     {"layers.0.attention.qkv.lora_up.weight", {18, 2}}})
                .find("is for one of them"),
            std::string::npos);
  EXPECT_NE(
      Refusal({OfQ("lokr_w1", {2, 2}), OfQ("lokr_w1_a", {2, 2}), OfQ("lokr_w2", {3, 3})}).find("is the whole of it"),
      std::string::npos);
}

TEST(LoraFile, RefusesValuesAndMagnitudesThatDoNotFit) {
  EXPECT_NE(Refusal({Tensor{kDown.name, {2, 6}, {}, Dtype::I8}, kUp}).find("expected floating-point numbers, found I8"),
            std::string::npos);
  EXPECT_NE(Refusal({Reshaped(kDown, {2, 6, 1}), kUp}).find("expected a matrix, found [2, 6, 1]"), std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, OfQ("dora_scale", {5, 1})}).find("expected [6] or [1, 6], found [5, 1]"),
            std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, OfQ("lora_magnitude_vector", {1, 6})}).find("expected [6], found [1, 6]"),
            std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, OfQ("dora_scale", {6}), OfQ("lora_magnitude_vector", {6})}).find("is the same part"),
            std::string::npos);
  EXPECT_NE(Refusal({{"layers.0.attention.qkv.lora_A.weight", {2, 6}},
                     {"layers.0.attention.qkv.lora_B.weight", {18, 2}},
                     {"layers.0.attention.qkv.dora_scale", {1, 6}}})
                .find("magnitudes by column of q, k and v in one"),
            std::string::npos);
  EXPECT_NE(Refusal({kDown, kUp, OfQ("hada_t1", {2, 2, 1, 1})}).find("the core of a convolution"), std::string::npos);
}

TEST(LoraFile, ReadsPeftsSettingsOnlyWhereThereIsNoAlpha) {
  const TemporaryFolder folder;
  const SafetensorsMetadata metadata = {{"lora_adapter_metadata", R"({"lora_alpha": 8, "r": 2})"}};
  EXPECT_EQ(ReadLora(FileOf(folder, {kDown, kUp}, metadata), kModules).parts.at(0).scale, 4);
  EXPECT_EQ(ReadLora(FileOf(folder, {kDown, kUp, Alpha({}, {1})}, metadata), kModules).parts.at(0).scale, 0.5);
  EXPECT_EQ(Refusal({kDown, kUp}, {{"lora_adapter_metadata", R"({"lora_alpha": "many"})"}}),
            "style.safetensors: its metadata lora_adapter_metadata has \"many\" as lora_alpha, expected a number");
  EXPECT_NE(Refusal({kDown, kUp}, {{"lora_adapter_metadata", "{"}}).find("not valid JSON"), std::string::npos);
}

// The names of files that people have for other models, or for something else.
TEST(LoraFile, SaysWhatAFileSeemsToBeThatHasNothingForTheTransformer) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_attn1_to_q.lora_down.weight",
       "a LoRA of Stable Diffusion XL"},
      {"lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q.lora_down.weight", "a LoRA of Stable Diffusion XL"},
      {"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
       "a LoRA of Stable Diffusion 1.5 or 2"},
      {"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "a LoRA of FLUX.1"},
      {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "a LoRA of FLUX.1"},
      {"transformer_blocks.0.img_mlp.net.0.proj.lora_A.weight", "a LoRA of Qwen-Image"},
      {"diffusion_model.blocks.0.cross_attn.k.lora_A.weight", "a LoRA of Wan"},
      {"diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_A.weight", "a LoRA of Stable Diffusion 3"},
      {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", "a LoRA for a text encoder alone"},
      {"something.else.lora_down.weight", "a LoRA of another model, or in names that are not known"},
      {"layers.0.attention.to_q.oft_blocks", "an addition of the kind OFT"},
      {"control_layers.0.attention.to_q.weight", "a ControlNet"},
      {"noise_refiner.0.cap_embedder.0.weight", "a transformer of Z-Image itself"},
      {"model.diffusion_model.input_blocks.0.0.weight", "a checkpoint of Stable Diffusion 1.5 or 2"},
      {"emb_params", "an embedding"},
      {"weight", "no LoRA"},
  };
  for (const auto& [name, what] : cases) {
    const std::string message = Refusal({{name, {2, 2}}});
    EXPECT_TRUE(
        message.starts_with("style.safetensors: nothing in it is for a layer of the transformer; this is " + what))
        << name << " -> " << message;
  }
  EXPECT_NE(Refusal({}).find("a file without tensors"), std::string::npos);
}

TEST(LoraFile, EscapesForeignNamesInMessages) {
  const std::string message = Refusal({{"\xe2\x80\xae.lora_down.weight", {2, 2}}});
  EXPECT_NE(message.find("\\u202e.lora_down.weight"), std::string::npos) << message;
}

}  // namespace
}  // namespace diptych
