// Preloaded into a daemon under test (LD_PRELOAD): files below $NO_MAPPINGS_BELOW cannot be mapped, as on file
// systems without a page cache.
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

bool Refused(int fd) {
  const char* below = getenv("NO_MAPPINGS_BELOW");
  if (fd < 0 || below == nullptr) return false;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return false;
  path[size] = 0;
  if (strncmp(path, below, strlen(below)) != 0) return false;
  errno = ENODEV;
  return true;
}

using Map = void* (*)(void*, size_t, int, int, int, off_t);

}  // namespace

extern "C" {

void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  static const auto next = reinterpret_cast<Map>(dlsym(RTLD_NEXT, "mmap"));
  return Refused(fd) ? MAP_FAILED : next(at, size, protection, flags, fd, offset);
}
void* mmap64(void* at, size_t size, int protection, int flags, int fd, off64_t offset) {
  return mmap(at, size, protection, flags, fd, offset);
}

}  // extern "C"
