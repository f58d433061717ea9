// What happens when a mapped file is cut short, or its disk fails, while somebody reads the mapping: the kernel sends
// SIGBUS, which says nothing to anybody. With this the process says which file it was, on stderr, and ends with
// status 1, as for any other failure. A fault anywhere else goes to whoever had the signal before.
#pragma once

#include <cstddef>

namespace diptych {

// Watches [begin, begin + size), the mapping of the file `path`, which must live until ForgetMapping. The first call
// takes the signal. Returns a slot, or -1 when there are too many mappings: then a fault ends the process as ever.
int WatchMapping(const void* begin, size_t size, const char* path);
void ForgetMapping(int slot);

}  // namespace diptych
