// Bytes to and from a file descriptor, whatever signals come between.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace diptych {

// Reads until there are `size` bytes or the end has come; how many there are, or -1 and errno.
ssize_t ReadAll(int fd, void* bytes, size_t size);

// Writes all of them. 0, or the errno of the call that failed.
int WriteAll(int fd, const void* bytes, size_t size);

}  // namespace diptych
