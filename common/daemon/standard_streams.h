// Descriptors 0 to 2.
#pragma once

namespace diptych {

// Opens /dev/null in place of those that whoever started this program has closed; else the next file or pipe would get
// their numbers, and what is printed would go into it. The first call of a main function.
void OpenStandardStreams();

}  // namespace diptych
