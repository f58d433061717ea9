#include "common/config/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace diptych {

size_t EditDistance(std::string_view left, std::string_view right) {
  // Distances of a growing prefix of `left` to each prefix of `right`: this one, one shorter, two shorter.
  std::vector<size_t> row(right.size() + 1), above(row), second_above(row);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < left.size(); ++i) {
    std::swap(second_above, above);
    std::swap(above, row);
    row[0] = i + 1;
    for (size_t j = 0; j < right.size(); ++j) {
      const size_t replace = above[j] + (left[i] == right[j] ? 0 : 1);
      row[j + 1] = std::min({replace, row[j] + 1, above[j + 1] + 1});
      if (i > 0 && j > 0 && left[i] == right[j - 1] && left[i - 1] == right[j]) {
        row[j + 1] = std::min(row[j + 1], second_above[j - 1] + 1);
      }
    }
  }
  return row.back();
}

std::string BareName(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  std::string bare(name.substr(name.rfind('.') + 1));  // npos + 1 is 0
  std::replace(bare.begin(), bare.end(), '-', '_');
  return bare;
}

std::optional<std::string> NearestKey(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string name = BareName(text);
  std::optional<std::string> nearest;
  std::pair<size_t, size_t> least;  // edits of the bare name, then of the whole
  for (const std::string& candidate : candidates) {
    const std::string bare = BareName(candidate);
    const std::pair distance(EditDistance(name, bare), EditDistance(text, candidate));
    if (distance.first > std::max(name.size(), bare.size()) / 3) continue;
    if (nearest && distance >= least) continue;
    nearest = candidate;
    least = distance;
  }
  return nearest;
}

}  // namespace diptych
