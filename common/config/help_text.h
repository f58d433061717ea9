// What --help prints.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/config/option.h"

namespace CLI {
class App;
}

namespace diptych {

// A blank in a text for the help at which no line ends.
inline constexpr char kNoBreak = '\x1F';

// Under which heading --help shows the flag of a row, to somebody who has the flags of `programs`.
std::string_view HelpGroup(const OptionInfo& info, ProgramMask programs);

// The headings in the order in which they are shown; any other comes last.
std::string_view GroupAt(size_t place);  // empty: there are no more

inline constexpr size_t kHelpColumns = 80, kLeastHelpColumns = 40;

// Description, usage, arguments, flags by heading and the footer, in lines of at most so many columns, from 40 to 80.
// Lines of the description and of the footer that begin with a blank are examples and stay whole at 80.
std::string HelpText(const CLI::App& app, size_t columns = kHelpColumns);

}  // namespace diptych
