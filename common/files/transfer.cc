#include "common/files/transfer.h"

#include <unistd.h>

#include <cerrno>

namespace diptych {

ssize_t ReadAll(int fd, void* bytes, size_t size) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = read(fd, static_cast<char*>(bytes) + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(have);
}

int WriteAll(int fd, const void* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t written = write(fd, static_cast<const char*>(bytes) + done, size - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    done += static_cast<size_t>(written);
  }
  return 0;
}

}  // namespace diptych
