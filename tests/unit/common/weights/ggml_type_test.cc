#include "common/weights/ggml_type.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace diptych {
namespace {

std::optional<uint64_t> Bytes(const std::vector<int64_t>& shape, GgmlType type) {
  return ByteCount(shape, FactsOf(type));
}

TEST(GgmlType, EachHasItsNumberInFiles) {
  for (int i = 0; i < static_cast<int>(GgmlType::kOther); ++i) {
    const GgmlTypeFacts& facts = FactsOf(static_cast<GgmlType>(i));
    EXPECT_TRUE(FactsOfGgmlNumber(facts.number) == &facts) << facts.name;
    EXPECT_GT(facts.block_elements, 0) << facts.name;
  }
  for (uint32_t number = 0; FactsOfGgmlNumber(number) != nullptr; ++number) {
    EXPECT_EQ(FactsOfGgmlNumber(number)->number, number);
  }
  EXPECT_EQ(FactsOfGgmlNumber(14)->name, "Q6_K");
  EXPECT_EQ(FactsOfGgmlNumber(30)->name, "BF16");
}

TEST(GgmlType, KnowsByNameWhatIsNotDecoded) {
  for (const auto& [number, name] : {std::pair(9u, "Q8_1"), {16u, "IQ2_XXS"}, {35u, "TQ2_0"}, {39u, "MXFP4"}}) {
    ASSERT_TRUE(FactsOfGgmlNumber(number) != nullptr) << name;
    EXPECT_EQ(FactsOfGgmlNumber(number)->name, name);
    EXPECT_TRUE(FactsOfGgmlNumber(number)->type == GgmlType::kOther) << name;
  }
  EXPECT_EQ(FactsOfGgmlNumber(31)->name, "Q4_0_4_4");
  EXPECT_EQ(FactsOfGgmlNumber(31)->block_elements, 0) << "ggml gave it up";
  EXPECT_TRUE(FactsOfGgmlNumber(1000) == nullptr);
  EXPECT_TRUE(FactsOfGgmlNumber(UINT32_MAX) == nullptr);
}

TEST(GgmlType, CountsTheBytesOfWholeBlocks) {
  EXPECT_EQ(Bytes({3840, 10240}, GgmlType::Q4_K), 3840u * 10240 / 256 * 144);
  EXPECT_EQ(Bytes({2, 3, 64}, GgmlType::Q8_0), 2u * 3 * 2 * 34);
  EXPECT_EQ(Bytes({}, GgmlType::F32), 4u);
  EXPECT_EQ(Bytes({0}, GgmlType::BF16), 0u);
  EXPECT_EQ(Bytes({4, 0}, GgmlType::Q6_K), 0u);
}

TEST(GgmlType, HasNoByteCountForBlocksThatWouldCrossRowsOrForWhatFitsNoFile) {
  EXPECT_FALSE(Bytes({32, 33}, GgmlType::Q8_0)) << "the elements are whole blocks, a row is not";
  EXPECT_FALSE(Bytes({64, 128}, GgmlType::Q4_K));
  EXPECT_FALSE(Bytes({}, GgmlType::Q8_0));
  EXPECT_FALSE(Bytes({-1}, GgmlType::F32));
  EXPECT_FALSE(Bytes({-32}, GgmlType::Q8_0));
  EXPECT_FALSE(Bytes({int64_t{1} << 33, int64_t{1} << 31}, GgmlType::I8));
  EXPECT_FALSE(Bytes({int64_t{1} << 32, int64_t{1} << 32, 0}, GgmlType::I8)) << "whoever multiplies from the left";
  EXPECT_FALSE(Bytes({int64_t{1} << 62}, GgmlType::F32));
  EXPECT_FALSE(ByteCount(std::vector<int64_t>{64}, *FactsOfGgmlNumber(31)));
}

}  // namespace
}  // namespace diptych
