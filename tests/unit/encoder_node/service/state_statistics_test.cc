#include "encoder_node/service/state_statistics.h"

#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

Conditioning Block(int64_t rows, int64_t width, const std::vector<float>& values, StateDtype dtype) {
  Conditioning block;
  block.header.rows = rows;
  block.header.width = width;
  block.header.dtype = dtype;
  for (const float value : values) {
    uint8_t bytes[4];
    std::memcpy(bytes, &value, 4);
    for (size_t i = dtype == StateDtype::kBFloat16 ? 2 : 0; i < 4; ++i) block.bytes.push_back(bytes[i]);
  }
  return block;
}

// Expected numbers: Python's statistics.mean and statistics.stdev.
TEST(StateStatistics, NamesShapeRangeAndEnds) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6.5};
  const char* const numbers =
      ", min -6.5000 max 6.0000 mean -0.0417 std 4.1366, first row begins [1.0000 2.0000 3.0000 4.0000 5.0000], last "
      "row "
      "ends [-2.0000 -3.0000 -4.0000 -5.0000 -6.5000]";
  EXPECT_EQ(DescribeStates(Block(2, 6, values, StateDtype::kFloat32)), std::string("2 x 6 float32") + numbers);
  EXPECT_EQ(DescribeStates(Block(2, 6, values, StateDtype::kBFloat16)), std::string("2 x 6 bfloat16") + numbers);
}

TEST(StateStatistics, NarrowRowsShowWhatTheyHave) {
  EXPECT_EQ(DescribeStates(Block(1, 1, {0.5}, StateDtype::kBFloat16)),
            "1 x 1 bfloat16, min 0.5000 max 0.5000 mean 0.5000 std 0.0000, first row begins [0.5000], last row ends "
            "[0.5000]");
}

}  // namespace
}  // namespace diptych
