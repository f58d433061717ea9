#include "encoder_node/service/state_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace diptych {
namespace {

// Value i of the block. bfloat16 is the upper half of a float.
float ValueAt(const Conditioning& conditioning, size_t i) {
  if (conditioning.header.dtype == StateDtype::kBFloat16) {
    uint16_t half;
    std::memcpy(&half, conditioning.bytes.data() + 2 * i, sizeof half);
    return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
  }
  float value;
  std::memcpy(&value, conditioning.bytes.data() + 4 * i, sizeof value);
  return value;
}

std::string Values(const Conditioning& conditioning, size_t begin, size_t end) {
  std::vector<std::string> texts;
  for (size_t i = begin; i < end; ++i) texts.push_back(absl::StrFormat("%.4f", ValueAt(conditioning, i)));
  return absl::StrCat("[", absl::StrJoin(texts, " "), "]");
}

}  // namespace

std::string DescribeStates(const Conditioning& conditioning) {
  const ConditioningHeader& header = conditioning.header;
  const size_t count = static_cast<size_t>(header.rows * header.width);
  float least = ValueAt(conditioning, 0), most = least;
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const float value = ValueAt(conditioning, i);
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
  }
  const double mean = sum / static_cast<double>(count);
  double squares = 0;
  for (size_t i = 0; i < count; ++i) squares += std::pow(ValueAt(conditioning, i) - mean, 2);
  const double deviation = count > 1 ? std::sqrt(squares / static_cast<double>(count - 1)) : 0;
  const size_t shown = static_cast<size_t>(std::min<int64_t>(5, header.width));
  return absl::StrFormat("%d x %d %s, min %.4f max %.4f mean %.4f std %.4f, first row begins %s, last row ends %s",
                         header.rows, header.width, std::string(StateDtypeName(header.dtype)), least, most, mean,
                         deviation, Values(conditioning, 0, shown), Values(conditioning, count - shown, count));
}

}  // namespace diptych
