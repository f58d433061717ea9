// Values of options as text: what is legal, reading, writing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/config/option.h"

namespace diptych {

// The key in the file, or the flag of a row that has none: what settings and tests call it.
std::string OptionName(const OptionInfo& info);

// "a whole number from 1 to 1000", "one of auto, cpu, cuda": what stands behind "must be".
std::string LegalValues(const OptionInfo& info);

// The value that `texts` stand for: one text, or any number for a list; none for the unset value of an optional type.
// Throws Error(kInvalidArgument), `"abc" must be a whole number ...`, for what is not legal.
OptionValue ParseOption(const OptionInfo& info, const std::vector<std::string>& texts);

// Throws the same for a value of the right type that is not legal.
void CheckOption(const OptionInfo& info, const OptionValue& value);

// The built-in default.
OptionValue DefaultOf(const OptionInfo& info);

// As TOML writes it: 1024, true, "auto", ["a", "b"]; empty for the unset value of an optional type.
std::string TomlText(const OptionValue& value);

// The parts of "a,b,c"; none for the empty text.
std::vector<std::string> SplitCommas(std::string_view text);

}  // namespace diptych
