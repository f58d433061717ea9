// The seeds of --seeds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/picture/picture_spec.h"

namespace diptych {

inline constexpr uint64_t kMaxSeed = members::kSeed.most;

// As many pictures as one command may ask for.
inline constexpr size_t kMaxPictures = 10'000;

// "7,11,20-23" is {7, 11, 20, 21, 22, 23}; blanks around a number do not count. Throws WrongWish for what is no such
// list, a range that runs backwards, a seed beyond 2^64 - 1, a seed twice, and more seeds than kMaxPictures.
std::vector<uint64_t> ParseSeeds(std::string_view text);

}  // namespace diptych
