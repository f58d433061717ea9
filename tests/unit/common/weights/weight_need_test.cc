#include "common/weights/weight_need.h"

#include <gtest/gtest.h>

#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

using testing::BytesOf;
using testing::RawFile;
using testing::TemporaryFolder;
using testing::WriteText;

class WeightNeedOfAFile : public ::testing::Test {
 protected:
  WeightNeedOfAFile() {
    WriteSafetensors(folder_ / "model.safetensors", {{{"a", Dtype::BF16, {2, 4}}, BytesOf(halves_)},
                                                     {{"b", Dtype::F32, {8}}, BytesOf(floats_)},
                                                     {{"encoder.c", Dtype::BF16, {8}}, BytesOf(halves_)}});
  }
  WeightNeed Need(Dtype dtype, std::initializer_list<std::string_view> unused = {}) const {
    return NeedOf(*Checkpoint::Open(folder_.path()), dtype, unused);
  }

  const std::vector<uint16_t> halves_ = std::vector<uint16_t>(8);
  const std::vector<float> floats_ = std::vector<float>(8);
  const TemporaryFolder folder_;
};

TEST_F(WeightNeedOfAFile, IsMappedWhereTheFormatStays) {
  EXPECT_EQ(Need(Dtype::BF16).mapped, 32u);
  EXPECT_EQ(Need(Dtype::BF16).copied, 16u);  // the floats, narrowed
  EXPECT_EQ(Need(Dtype::F32).mapped, 32u);
  EXPECT_EQ(Need(Dtype::F32).copied, 64u);  // the halves, widened
}

TEST_F(WeightNeedOfAFile, IsAllACopyOnAGpu) {
  EXPECT_EQ(Need(Dtype::BF16).on_gpu, 48u);
  EXPECT_EQ(Need(Dtype::F32, {"encoder."}).on_gpu, 64u);
}

TEST_F(WeightNeedOfAFile, LeavesOutWhatIsNotRead) {
  EXPECT_EQ(Need(Dtype::F32, {"encoder."}).copied, 32u);
  EXPECT_EQ(Need(Dtype::BF16, {"encoder.", "b"}).mapped, 16u);
}

TEST(WeightNeed, LeavesOutWhatNobodyComputesWith) {
  const TemporaryFolder folder;
  WriteText(
      folder / "model.safetensors",
      RawFile(
          R"({"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"o":{"dtype":"F4","shape":[4],"data_offsets":[8,10]}})",
          10));
  const WeightNeed need = NeedOf(*Checkpoint::Open(folder.path()), Dtype::F32);
  EXPECT_EQ(need.copied + need.mapped, 0u);
}

TEST(WeightNeed, CountsACopyOfTensorsThatAreNotAligned) {
  const TemporaryFolder folder;
  const std::string header =
      R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";  // 54 bytes, after 8 of length
  ASSERT_NE((header.size() + 8) % 4, 0u);
  WriteText(folder / "model.safetensors", RawFile(header, 8));
  const WeightNeed need = NeedOf(*Checkpoint::Open(folder.path()), Dtype::F32);
  EXPECT_EQ(need.copied, 8u);
  EXPECT_EQ(need.mapped, 0u);
}

}  // namespace
}  // namespace diptych
