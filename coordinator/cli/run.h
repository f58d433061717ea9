// The program without its main: from arguments to an exit status.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/environment.h"

namespace diptych {

// `arguments` without the program's name. Never throws. Whatever went wrong is one line on environment.err.
int RunDiptych(const std::vector<std::string>& arguments, Environment& environment);

}  // namespace diptych
