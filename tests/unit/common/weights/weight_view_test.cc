#include "common/weights/weight_view.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::ErrorOf;
using testing::RawFile;
using testing::TemporaryFolder;
using testing::WriteText;

const std::vector<float> kMatrix = {1.5f, -2.0f, 3.25f, 0.0f, 5.0f, -6.5f};
const std::vector<uint16_t> kHalves = {0x3fc0, 0xc000};  // 1.5 and -2 in bfloat16
const std::vector<int64_t> kWhole = {1};

class WeightViewFile {
 public:
  WeightViewFile() : path(folder_ / "model.safetensors") {
    WriteSafetensors(path, {{{"layers.0.to_q.weight", Dtype::F32, {2, 3}}, BytesOf(kMatrix)},
                            {{"layers.0.norm.weight", Dtype::BF16, {2}}, BytesOf(kHalves)},
                            {{"model.extra.weight", Dtype::BF16, {2}}, BytesOf(kHalves)},
                            {{"step", Dtype::I64, {1}}, BytesOf(kWhole)}});
  }
  WeightView View(at::ScalarType dtype) const { return WeightView(Checkpoint::Open(path), at::kCPU, dtype); }

 private:
  const TemporaryFolder folder_;

 public:
  const std::string path;
};

TEST(WeightView, JoinsNamesWithDots) {
  const WeightViewFile file;
  const WeightView w = file.View(at::kFloat);
  EXPECT_EQ((w / "layers" / 0 / "to_q" / "weight").name(), "layers.0.to_q.weight");
  EXPECT_EQ((w / "" / "layers").name(), "layers");
  EXPECT_TRUE((w / "layers" / 0 / "to_q.weight").Exists());
  EXPECT_FALSE((w / "layers" / 0).Exists());
}

TEST(WeightView, LeavesUnchangedWeightsInTheMappedFile) {
  const WeightViewFile file;
  const auto checkpoint = Checkpoint::Open(file.path);
  const WeightView w(checkpoint, at::kCPU, at::kFloat);
  const at::Tensor matrix = (w / "layers.0.to_q.weight").Tensor({2, 3});
  EXPECT_TRUE(matrix.data_ptr() == static_cast<const void*>(checkpoint->Find("layers.0.to_q.weight")->data));
  EXPECT_EQ(matrix[1][2].item<float>(), -6.5f);
}

TEST(WeightView, KeepsTheFileMappedWhileATensorLives) {
  const WeightViewFile file;
  at::Tensor matrix;
  std::weak_ptr<const Checkpoint> watched;
  {
    const auto checkpoint = Checkpoint::Open(file.path);
    watched = checkpoint;
    matrix = (WeightView(checkpoint, at::kCPU, at::kFloat) / "layers.0.to_q.weight").Tensor({2, 3});
  }
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(matrix[0][0].item<float>(), 1.5f);
  matrix = at::Tensor();
  EXPECT_TRUE(watched.expired());
}

TEST(WeightView, CastsToTheComputeType) {
  const WeightViewFile file;
  const at::Tensor widened = (file.View(at::kFloat) / "layers.0.norm.weight").Tensor({2});
  EXPECT_TRUE(widened.scalar_type() == at::kFloat);
  EXPECT_EQ(widened[0].item<float>(), 1.5f);
  EXPECT_EQ(widened[1].item<float>(), -2.0f);
  const at::Tensor narrowed = (file.View(at::kBFloat16) / "layers.0.to_q.weight").Tensor({2, 3});
  EXPECT_TRUE(narrowed.scalar_type() == at::kBFloat16);
  EXPECT_EQ(narrowed[0][2].item<float>(), 3.25f);
}

TEST(WeightView, CopiesWeightsThatAreNotAligned) {
  const TemporaryFolder folder;
  // The header is a multiple of 8 bytes long; one byte of data before the float puts it at an odd address.
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("w":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
  std::string bytes = RawFile(header + std::string((8 - header.size() % 8) % 8, ' '), 5);
  const float value = 42.0f;
  std::memcpy(bytes.data() + bytes.size() - 4, &value, 4);
  WriteText(folder / "odd.safetensors", bytes);
  const auto checkpoint = Checkpoint::Open(folder / "odd.safetensors");
  ASSERT_EQ(reinterpret_cast<uintptr_t>(checkpoint->Find("w")->data) % 4, 1u);
  const at::Tensor w = (WeightView(checkpoint, at::kCPU, at::kFloat) / "w").Tensor({1});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(w.data_ptr()) % 4, 0u);
  EXPECT_EQ(w.item<float>(), 42.0f);
}

TEST(WeightView, NamesTensorAndBothShapesOnMismatch) {
  const WeightViewFile file;
  const WeightView w = file.View(at::kFloat) / "layers" / 0;
  EXPECT_EQ(ErrorOf([&] {
              (w / "to_q" / "weight").Tensor({2, 2});
            }),
            "layers.0.to_q.weight: expected shape [2, 2], found [2, 3] in " + file.path);
  EXPECT_EQ(ErrorOf([&] { (w / "to_q" / "weight").Tensor({6}); }),
            "layers.0.to_q.weight: expected shape [6], found [2, 3] in " + file.path);
}

TEST(WeightView, NamesMissingTensorAndItsExpectedShape) {
  const WeightViewFile file;
  EXPECT_EQ(ErrorOf([&] {
              (file.View(at::kFloat) / "layers" / 1 / "to_q.weight").Tensor({2, 3});
            }),
            "tensor layers.1.to_q.weight is missing from " + file.path + "; expected shape [2, 3]");
}

TEST(WeightView, RefusesWeightsThatAreNotFloatingPoint) {
  const WeightViewFile file;
  EXPECT_EQ(ErrorOf([&] { (file.View(at::kFloat) / "step").Tensor({1}); }),
            "step: stored as I64 in " + file.path + ", expected F32, BF16, F16 or F64");
}

TEST(WeightView, AcceptsNamesWithAndWithoutPrefix) {
  const WeightViewFile file;
  const WeightView w = file.View(at::kFloat);
  EXPECT_EQ(w.Prefixed({"model", ""}, "extra.weight").name(), "model");
  EXPECT_EQ(w.Prefixed({"model", ""}, "layers.0.norm.weight").name(), "");
  EXPECT_EQ(w.Prefixed({"model", ""}, "nowhere").name(), "model");
}

TEST(WeightView, ListsTheNamesThatNobodyRead) {
  const WeightViewFile file;
  const WeightView w = file.View(at::kFloat);
  (w / "layers" / 0 / "to_q.weight").Tensor({2, 3});
  ErrorOf([&] { (w / "step").Tensor({7}); });  // a refused tensor has not been read
  EXPECT_EQ(w.UnusedNames(), (std::vector<std::string>{"layers.0.norm.weight", "model.extra.weight", "step"}));
  const std::string warning = w.UnusedWarning({"step"});
  EXPECT_NE(warning.find(" has 2 tensors that this model does not use: layers.0.norm.weight, model.extra.weight"),
            std::string::npos)
      << warning;
  EXPECT_EQ(w.UnusedWarning({"layers.", "model.", "step"}), "");
}

}  // namespace
}  // namespace diptych
