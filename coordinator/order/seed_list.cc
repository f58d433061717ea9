#include "coordinator/order/seed_list.h"

#include <charconv>
#include <set>
#include <string>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "coordinator/order/wrong_wish.h"

namespace diptych {
namespace {

[[noreturn]] void Refuse(absl::string_view part, const std::string& reason) {
  throw WrongWish(absl::StrCat("--seeds: \"", part, "\" ", reason));
}

uint64_t ParseSeed(absl::string_view text, absl::string_view part) {
  text = absl::StripAsciiWhitespace(text);
  uint64_t seed = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seed);
  const bool is_number = stop == end && stop != text.data();
  if (is_number && error == std::errc::result_out_of_range) {
    Refuse(part, "is beyond the largest seed, 2^64 - 1");
  }
  if (!is_number || error != std::errc()) Refuse(part, "is neither a seed nor a range of seeds, as in 7,11,20-23");
  return seed;
}

}  // namespace

std::vector<uint64_t> ParseSeeds(std::string_view text) {
  std::vector<uint64_t> seeds;
  std::set<uint64_t> seen;
  for (absl::string_view part : absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    part = absl::StripAsciiWhitespace(part);
    const size_t dash = part.find('-');
    const uint64_t first = ParseSeed(part.substr(0, dash), part);
    const uint64_t last = dash == part.npos ? first : ParseSeed(part.substr(dash + 1), part);
    if (last < first) Refuse(part, "runs backwards");
    if (last - first >= kMaxPictures - seeds.size()) {
      throw WrongWish(absl::StrCat("--seeds names more than ", kMaxPictures, " seeds, the limit for one command"));
    }
    for (uint64_t seed = first;; ++seed) {
      if (!seen.insert(seed).second) throw WrongWish(absl::StrCat("--seeds names seed ", seed, " twice"));
      seeds.push_back(seed);
      if (seed == last) break;  // not a condition of the loop: there may be no number behind it
    }
  }
  return seeds;
}

}  // namespace diptych
