// What is known about a terminal.
#pragma once

#include <cstddef>

namespace diptych {

// Columns of the terminal that this file descriptor is; 80 for one that does not say, 0 for what is none.
size_t TerminalColumns(int descriptor);

// Whether the user's terminal takes control sequences: not where TERM is unset or "dumb", and not where NO_COLOR or CI
// (set and not empty) says that plain lines are wanted.
bool TerminalRedraws();

}  // namespace diptych
