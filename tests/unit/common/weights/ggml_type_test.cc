#include "common/weights/ggml_type.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace diptych {
namespace {

std::optional<uint64_t> Bytes(const std::vector<int64_t>& shape, Dtype dtype) { return ByteCount(shape, dtype); }

TEST(GgmlType, EachHasItsNumberInFiles) {
  std::set<Dtype> found;
  for (uint32_t number = 0; GgmlTypeOf(number) != nullptr; ++number) {
    const GgmlType& type = *GgmlTypeOf(number);
    EXPECT_EQ(type.number, number);
    if (type.dtype == Dtype::kOther) continue;
    EXPECT_TRUE(found.insert(type.dtype).second) << type.name;
    const DtypeFacts& facts = FactsOf(type.dtype);
    EXPECT_EQ(type.name, facts.name);
    EXPECT_EQ(type.block_elements, facts.block_elements) << type.name;
    EXPECT_EQ(type.block_bytes, facts.block_bytes) << type.name;
  }
  for (const DtypeFacts& facts : AllDtypes()) EXPECT_TRUE(!IsInBlocks(facts.dtype) || found.contains(facts.dtype));
  EXPECT_EQ(GgmlTypeOf(14)->name, "Q6_K");
  EXPECT_EQ(GgmlTypeOf(30)->name, "BF16");
}

TEST(GgmlType, KnowsByNameWhatIsNotDecoded) {
  for (const auto& [number, name] : {std::pair(9u, "Q8_1"), {16u, "IQ2_XXS"}, {35u, "TQ2_0"}, {39u, "MXFP4"}}) {
    ASSERT_TRUE(GgmlTypeOf(number) != nullptr) << name;
    EXPECT_EQ(GgmlTypeOf(number)->name, name);
    EXPECT_TRUE(GgmlTypeOf(number)->dtype == Dtype::kOther) << name;
  }
  EXPECT_EQ(GgmlTypeOf(31)->name, "Q4_0_4_4");
  EXPECT_EQ(GgmlTypeOf(31)->block_elements, 0) << "ggml gave it up";
  EXPECT_TRUE(GgmlTypeOf(1000) == nullptr);
  EXPECT_TRUE(GgmlTypeOf(UINT32_MAX) == nullptr);
}

TEST(GgmlType, CountsTheBytesOfWholeBlocks) {
  EXPECT_EQ(Bytes({3840, 10240}, Dtype::Q4_K), 3840u * 10240 / 256 * 144);
  EXPECT_EQ(Bytes({2, 3, 64}, Dtype::Q8_0), 2u * 3 * 2 * 34);
  EXPECT_EQ(Bytes({}, Dtype::F32), 4u);
  EXPECT_EQ(Bytes({0}, Dtype::BF16), 0u);
  EXPECT_EQ(Bytes({4, 0}, Dtype::Q6_K), 0u);
}

TEST(GgmlType, HasNoByteCountForBlocksThatWouldCrossRowsOrForWhatFitsNoFile) {
  EXPECT_FALSE(Bytes({32, 33}, Dtype::Q8_0)) << "the elements are whole blocks, a row is not";
  EXPECT_FALSE(Bytes({64, 128}, Dtype::Q4_K));
  EXPECT_FALSE(Bytes({}, Dtype::Q8_0));
  EXPECT_FALSE(Bytes({-1}, Dtype::F32));
  EXPECT_FALSE(Bytes({-32}, Dtype::Q8_0));
  EXPECT_FALSE(Bytes({int64_t{1} << 33, int64_t{1} << 31}, Dtype::I8));
  EXPECT_FALSE(Bytes({int64_t{1} << 32, int64_t{1} << 32, 0}, Dtype::I8)) << "whoever multiplies from the left";
  EXPECT_FALSE(Bytes({int64_t{1} << 62}, Dtype::F32));
  EXPECT_FALSE(ByteCount(std::vector<int64_t>{64}, GgmlTypeOf(31)->block_elements, 0));
}

}  // namespace
}  // namespace diptych
