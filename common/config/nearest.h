// The spelling that somebody probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// The fewest insertions, deletions and replacements of one byte that turn one text into the other.
size_t EditDistance(std::string_view left, std::string_view right);

// The candidate nearest to `text`, which may differ in its section ("listen" for "encoder.listen"). Candidates must not
// be empty.
std::string NearestKey(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace diptych
