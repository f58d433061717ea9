// What --help prints.
#pragma once

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

// Description, usage, arguments, flags by heading and the footer, in lines of at most 80 columns. Lines of the
// description and of the footer that begin with a blank are examples and stay whole.
std::string HelpText(const CLI::App& app);

}  // namespace diptych
