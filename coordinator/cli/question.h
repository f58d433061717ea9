// Asking before what cannot be taken back.
#pragma once

#include <string>

#include "coordinator/cli/environment.h"

namespace diptych {

// Whether somebody can be asked: standard input and standard error are terminals.
bool CanAsk(const Environment& environment);

// What the user answers: "y" and "yes" are true, everything else and the end of input are not. For those who can be
// asked. Throws Error(kCancelled) when the user interrupts.
bool Confirmed(const std::string& question, Environment& environment);

}  // namespace diptych
