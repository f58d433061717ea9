// Values of options as text: what is legal, reading, writing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

// The same for a value of the right type: what is not legal throws, and of a path the whole is returned: "~/x" is in
// the home folder.
OptionValue AcceptOption(const OptionInfo& info, OptionValue value);

// The row's texts name files or folders: its unit is FILE, DIR or PATH.
bool IsPath(const OptionInfo& info);

// What "true", "yes", "on", "1" and their opposites say, whatever their case.
std::optional<bool> BoolOf(std::string_view text);

// "1024x768" as {"1024", "768"}.
std::optional<std::pair<std::string, std::string>> SizeOf(std::string_view text);

// The values of --width and --height that "1024x768" stands for. Throws Error(kInvalidArgument).
std::vector<std::pair<const OptionInfo*, OptionValue>> SidesOf(std::string_view size);

// The built-in default.
OptionValue DefaultOf(const OptionInfo& info);

// As TOML writes it: 1024, true, "auto", ["a", "b"]; empty for the unset value of an optional type.
std::string TomlText(const OptionValue& value);

// The parts of "a,b,c"; none for the empty text.
std::vector<std::string> SplitCommas(std::string_view text);

}  // namespace diptych
