// What Python's json module writes and reads beyond JSON: NaN, Infinity and -Infinity as numbers.
#pragma once

#include <string>
#include <string_view>

namespace diptych {

// The same text with null in place of these words outside of strings. Equal to `text` when
// there are none.
std::string NumbersOfPythonAsNull(std::string_view text);

}  // namespace diptych
