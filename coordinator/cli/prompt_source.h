// Where the text of a prompt file comes from.
#pragma once

#include <string>

#include "coordinator/cli/environment.h"

namespace diptych {

inline constexpr char kStandardInput[] = "-";

// The whole of a file, or of standard input, at most 64 MiB. Throws Error: as ReadBoundedFile; kInvalidArgument for a
// longer input, kUnavailable for one that cannot be read, kCancelled when the user interrupts.
std::string ReadPrompts(const std::string& file, const Environment& environment);

}  // namespace diptych
