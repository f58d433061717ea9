// Products with quantised matrices against products with the values that the gguf package has for the same blocks.
#include "common/nn/matrix.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/nn/layers.h"
#include "common/weights/dequantize.h"
#include "tests/support/gguf_writer.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych::nn {
namespace {

using testing::ErrorOf;
using testing::GgufWriter;
using testing::TemporaryFolder;

constexpr const char* kGoldens = DIPTYCH_SOURCE_DIR "/tests/unit/common/weights/data/ggml_blocks.safetensors";

class MatrixTest : public ::testing::Test {
 protected:
  // A matrix of the golden blocks, repeated until it has so many rows, as "w.weight"; its values stay in `values`.
  WeightView Write(Dtype dtype, int64_t rows, int64_t columns, at::ScalarType compute = at::kFloat) {
    const auto goldens = SafetensorsFile::Open(kGoldens);
    const TensorEntry& blocks = *goldens->Find(std::string(DtypeName(dtype)) + ".blocks");
    const TensorEntry& golden = *goldens->Find(std::string(DtypeName(dtype)) + ".values");
    const int64_t elements = FactsOf(dtype).block_elements;
    // The first blocks are ordinary, what follows has scales that are no numbers (make_gguf_goldens.py).
    const auto* numbers = reinterpret_cast<const float*>(golden.data);
    std::vector<int64_t> finite;
    for (int64_t block = 0; block < golden.shape[0] / elements; ++block) {
      const at::Tensor some = at::from_blob(const_cast<float*>(numbers) + block * elements, {elements});
      if (some.abs().max().item<float>() < 1e4f) finite.push_back(block);
    }
    EXPECT_GT(finite.size(), 3u);
    std::vector<uint8_t> bytes;
    values_ = at::empty({rows, columns});
    const auto size = static_cast<size_t>(FactsOf(dtype).block_bytes);
    for (int64_t i = 0; i < rows * columns / elements; ++i) {
      const auto block = static_cast<size_t>(finite[static_cast<size_t>(i) % finite.size()]);
      bytes.insert(bytes.end(), blocks.data + block * size, blocks.data + (block + 1) * size);
      std::memcpy(values_.data_ptr<float>() + i * elements, numbers + static_cast<int64_t>(block) * elements,
                  static_cast<size_t>(elements) * sizeof(float));
    }
    GgufWriter file;
    file.AddOwnTensor("w.weight", dtype, {rows, columns}, bytes);
    file.AddOwnTensor("v.weight", dtype, {columns}, bytes);
    file.Write(folder_ / "matrix.gguf");
    checkpoint_ = Checkpoint::Open(folder_ / "matrix.gguf");
    return WeightView(checkpoint_, at::kCPU, compute);
  }

  const TemporaryFolder folder_;
  at::Tensor values_;
  std::shared_ptr<const Checkpoint> checkpoint_;
};

TEST_F(MatrixTest, EveryQuantisedFormatIsMultipliedAsItsValuesAre) {
  int formats = 0;
  for (const DtypeFacts& facts : AllDtypes()) {
    if (!IsInBlocks(facts.dtype)) continue;
    ++formats;
    const Matrix matrix(Write(facts.dtype, 24, 512) / "w" / "weight", 24, 512);
    EXPECT_TRUE(matrix.is_quantised()) << facts.name;
    EXPECT_TRUE(checkpoint_->IsUsedInPlace());
    const at::Tensor x = at::randn({2, 3, 512}), bias = at::randn({24});
    EXPECT_TRUE(at::equal(matrix.Linear(x, bias), at::linear(x, values_, bias))) << facts.name;
    EXPECT_TRUE(at::equal(matrix.Linear(x, {}), at::linear(x, values_))) << facts.name;
    const at::Tensor ids = at::tensor({5, 0, 23, 5}, at::kLong);
    EXPECT_TRUE(at::equal(matrix.Rows(ids), values_.index_select(0, ids))) << facts.name;
  }
  EXPECT_EQ(formats, 12);
}

TEST_F(MatrixTest, ALargeOneIsMultipliedAFewRowsAtATime) {
  const int64_t rows = 5000, columns = 1024;  // more than two of the blocks that are dequantised at a time
  const Matrix matrix(Write(Dtype::Q8_0, rows, columns) / "w" / "weight", rows, columns);
  const at::Tensor x = at::randn({7, columns}), bias = at::randn({rows});
  const at::Tensor y = matrix.Linear(x, bias), expected = at::linear(x, values_, bias);
  ASSERT_EQ(y.sizes(), expected.sizes());
  // The kernel may sum in another order.
  EXPECT_LT((y - expected).abs().max().item<float>(), 1e-5f * expected.abs().max().item<float>());
}

TEST_F(MatrixTest, ComputesInBfloat16WithValuesThatAreRoundedOnce) {
  const Matrix matrix(Write(Dtype::Q4_K, 24, 512, at::kBFloat16) / "w" / "weight", 24, 512);
  const at::Tensor x = at::randn({40, 512}).to(at::kBFloat16), narrow = values_.to(at::kBFloat16);
  EXPECT_EQ(matrix.options().dtype(), at::kBFloat16);
  const at::Tensor ids = at::arange(24);
  EXPECT_TRUE(at::equal(matrix.Rows(ids), narrow));
  EXPECT_TRUE(at::equal(matrix.Linear(x, {}), at::linear(x, narrow)));
}

// As `float(weight) * scale`, whatever the scale is of.
TEST_F(MatrixTest, Fp8IsMultipliedByItsScales) {
  std::vector<uint8_t> bytes(6 * 40);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i % 120 + (i % 2) * 128);  // no NaN
  at::Tensor values = at::empty({6, 40});
  Dequantize(Dtype::F8_E4M3, bytes.data(), 240, values.data_ptr<float>());
  const std::vector<float> one = {0.37f}, each = {0.5f, -1.25f, 3.1f, 0.01f, 7, 1};
  using Shape = std::vector<int64_t>;
  for (const auto& [shape, scales] : {std::pair<Shape, std::vector<float>>{{}, one}, {{1}, one}, {{6}, each},
                                      {{6, 1}, each}}) {
    WriteSafetensors(folder_ / "fp8.safetensors", {{{"w.weight", Dtype::F8_E4M3, {6, 40}}, bytes},
                                                   {{"w.weight_scale", Dtype::F32, shape}, testing::BytesOf(scales)}});
    const WeightView w(Checkpoint::Open(folder_ / "fp8.safetensors"), at::kCPU, at::kFloat);
    const Matrix matrix(w / "w" / "weight", 6, 40);
    EXPECT_TRUE(matrix.is_quantised());
    at::Tensor scaled = values.clone();
    for (int64_t i = 0; i < 6; ++i) scaled[i].mul_(scales[scales.size() == 1 ? 0 : static_cast<size_t>(i)]);
    EXPECT_TRUE(at::equal(matrix.Rows(at::arange(6)), scaled));
    EXPECT_TRUE(at::equal((w / "w" / "weight").Tensor({6, 40}), scaled)) << "as a GPU has it";
    const at::Tensor x = at::randn({3, 40});
    EXPECT_TRUE(at::equal(matrix.Linear(x, {}), at::linear(x, scaled)));
    EXPECT_TRUE(w.UnusedNames().empty());
  }
}

TEST_F(MatrixTest, ScalesThatAreNoneAreRefused) {
  const std::vector<uint8_t> bytes(6 * 40);
  const std::string path = folder_ / "fp8.safetensors";
  const auto refusal = [&](const std::vector<int64_t>& shape, const std::vector<float>& scales,
                           const std::string& name = "w") {
    WriteSafetensors(path, {{{"w.weight", Dtype::F8_E4M3, {6, 40}}, bytes},
                            {{name + ".weight_scale", Dtype::F32, shape}, testing::BytesOf(scales)}});
    const WeightView w(Checkpoint::Open(path), at::kCPU, at::kFloat);
    return ErrorOf([&] { Matrix(w / "w" / "weight", 6, 40); });
  };
  EXPECT_EQ(refusal({2}, {1, 1}),
            "w.weight_scale: expected one scale or one of each row, [6] or [6, 1], found shape [2] in " + path);
  EXPECT_EQ(refusal({1}, {std::nanf("")}), "w.weight_scale: a scale is no finite number in " + path);
  EXPECT_EQ(refusal({1}, {1}, "v"), "tensor w.weight_scale is missing from " + path +
                                        ": w.weight is stored as F8_E4M3, and others have their scales");
}

TEST_F(MatrixTest, ALayerTakesOneInPlaceOfAPlainOne) {
  const Linear layer(Write(Dtype::Q6_K, 24, 512) / "w", 24, 512, false);
  const at::Tensor x = at::randn({3, 512});
  EXPECT_TRUE(at::equal(layer(x), at::linear(x, values_)));
  EXPECT_EQ(layer.flops_per_row(), 2.0 * 24 * 512);
}

TEST_F(MatrixTest, QuantisedVectorsAndOtherShapesAreRefused) {
  const WeightView w = Write(Dtype::Q8_0, 24, 512);
  EXPECT_EQ(ErrorOf([&] { (w / "v" / "weight").Tensor({512}); }),
            "v.weight: stored as Q8_0 in " + folder_ / "matrix.gguf" +
                ", expected F32, BF16, F16 or F64: only matrices are quantised");
  EXPECT_EQ(ErrorOf([&] { Matrix(w / "w" / "weight", 24, 256); }),
            "w.weight: expected shape [24, 256], found [24, 512] in " + folder_ / "matrix.gguf");
  EXPECT_NE(ErrorOf([&] { Matrix(w / "x" / "weight", 24, 256); }).find("x.weight is missing"), std::string::npos);
}

}  // namespace
}  // namespace diptych::nn
