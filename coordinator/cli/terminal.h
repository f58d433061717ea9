// What is known about a terminal.
#pragma once

#include <cstddef>

namespace diptych {

// Columns of the terminal that this file descriptor is; 80 for one that does not say, 0 for what is none.
size_t TerminalColumns(int descriptor);

}  // namespace diptych
