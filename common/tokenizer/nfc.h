// Unicode normalisation form C, as the reference knows it: of Unicode 9 (reference_unicode.h).
#pragma once

#include <string>
#include <string_view>

namespace diptych {

// Canonical composition of valid UTF-8. Compatibility forms, line ends and case stay. O(n log n) for every text, also
// for long runs of combining marks.
std::string ComposeNfc(std::string_view text);

}  // namespace diptych
