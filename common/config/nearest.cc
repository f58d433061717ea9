#include "common/config/nearest.h"

#include <algorithm>
#include <numeric>

namespace diptych {
namespace {

std::string_view WithoutSection(std::string_view key) { return key.substr(key.rfind('.') + 1); }  // npos + 1 is 0

size_t Distance(std::string_view text, std::string_view key) {
  // A key in the wrong section costs a little more than the same misspelling in the right one.
  return std::min(EditDistance(text, key), EditDistance(WithoutSection(text), WithoutSection(key)) + 2);
}

}  // namespace

size_t EditDistance(std::string_view left, std::string_view right) {
  std::vector<size_t> row(right.size() + 1);  // distances of a growing prefix of `left` to each prefix of `right`
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < left.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < right.size(); ++j) {
      const size_t replace = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string NearestKey(std::string_view text, const std::vector<std::string>& candidates) {
  return *std::min_element(candidates.begin(), candidates.end(), [&](const std::string& a, const std::string& b) {
    return Distance(text, a) < Distance(text, b);
  });
}

}  // namespace diptych
