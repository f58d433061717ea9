// Asking before what cannot be taken back.
#pragma once

#include <string>

#include "coordinator/cli/environment.h"

namespace diptych {

// True where nobody can be asked (standard input or standard error is no terminal), else what the user answers: "y" and
// "yes" are true, everything else and the end of input are not. Throws Error(kCancelled) when the user interrupts.
bool Confirmed(const std::string& question, Environment& environment);

}  // namespace diptych
