// The spelling that somebody probably meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace diptych {

// The fewest insertions, deletions and replacements of one byte and swaps of two neighbours that turn one text into
// the other; no byte is edited twice.
size_t EditDistance(std::string_view left, std::string_view right);

// A name without section and leading dashes, its words joined by '_': "encoder.hidden_layer" and "--hidden-layer" are
// both "hidden_layer".
std::string BareName(std::string_view name);

// The candidate nearest to `text` by its bare name, of equals the one with the nearest section. nullopt when none is
// near: more than a third of the longer name is different.
std::optional<std::string> NearestKey(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace diptych
