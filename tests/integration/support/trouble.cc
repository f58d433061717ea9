// Preloaded into a daemon under test (LD_PRELOAD): a disk that is full or read-only, and a clock that is set, as a
// control file says at each moment. The file's bytes are mapped; support/trouble.h has their meaning.
#include "tests/integration/support/trouble.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace {

using diptych::integration::TroubleNow;

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

volatile const TroubleNow* Now() {
  static const TroubleNow* now = [] {
    static const TroubleNow none;
    const char* path = getenv("DIPTYCH_TEST_TROUBLE");
    const int fd = path == nullptr ? -1 : openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return &none;
    // Not the one below, which would ask what is mapped here.
    void* mapped = Next<decltype(&mmap)>("mmap")(nullptr, sizeof(TroubleNow), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return mapped == MAP_FAILED ? &none : static_cast<const TroubleNow*>(mapped);
  }();
  return now;
}

bool IsInFolder(const char* path) {
  static const char* folder = getenv("DIPTYCH_TEST_TROUBLE_FOLDER");
  return folder != nullptr && path != nullptr && strncmp(path, folder, strlen(folder)) == 0;
}

bool IsInFolder(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return false;
  path[size] = 0;
  return IsInFolder(path);
}

// Whether a call that writes to `where` fails now; then errno says why.
template <typename Where>
bool Fails(Where where) {
  const int error = Now()->disk_error;
  if (error == 0 || !IsInFolder(where)) return false;
  errno = error;
  return true;
}

}  // namespace

#define NEXT(name) Next<decltype(&name)>(#name)

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto next = NEXT(write);
  return Fails(fd) ? -1 : next(fd, bytes, size);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  static const auto next = NEXT(pwrite);
  return Fails(fd) ? -1 : next(fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  static const auto next = NEXT(pwrite64);
  return Fails(fd) ? -1 : next(fd, bytes, size, at);
}
ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto next = NEXT(writev);
  return Fails(fd) ? -1 : next(fd, parts, count);
}
int mkdir(const char* path, mode_t mode) {
  static const auto next = NEXT(mkdir);
  return Fails(path) ? -1 : next(path, mode);
}
int rename(const char* from, const char* to) {
  static const auto next = NEXT(rename);
  return Now()->disk_error == EROFS && Fails(to) ? -1 : next(from, to);
}
int unlink(const char* path) {
  static const auto next = NEXT(unlink);
  return Now()->disk_error == EROFS && Fails(path) ? -1 : next(path);
}

#define OPEN(name)                                                                                  \
  int name(const char* path, int flags, ...) {                                                      \
    static const auto next = NEXT(name);                                                            \
    va_list rest;                                                                                   \
    va_start(rest, flags);                                                                          \
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;                          \
    va_end(rest);                                                                                   \
    const bool read_only = Now()->disk_error == EROFS && (flags & O_ACCMODE) != O_RDONLY;           \
    const bool makes = (flags & O_CREAT) != 0 && Now()->disk_error != 0 && access(path, F_OK) != 0; \
    if (Now()->open_error != 0 && IsInFolder(path)) {                                               \
      errno = Now()->open_error;                                                                    \
      return -1;                                                                                    \
    }                                                                                               \
    return (read_only || makes) && Fails(path) ? -1 : next(path, flags, mode);                      \
  }
OPEN(open)
OPEN(open64)

#define MMAP(name)                                                                     \
  void* name(void* at, size_t size, int protection, int flags, int fd, off_t offset) { \
    static const auto next = NEXT(name);                                               \
    const bool is_shared = (flags & MAP_TYPE) == MAP_SHARED && fd >= 0;                \
    if (is_shared && Now()->mapping_error != 0 && IsInFolder(fd)) {                    \
      errno = Now()->mapping_error;                                                    \
      return MAP_FAILED;                                                               \
    }                                                                                  \
    return next(at, size, protection, flags, fd, offset);                              \
  }
MMAP(mmap)
MMAP(mmap64)

int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto next = NEXT(getaddrinfo);
  if (host == nullptr || strcmp(host, "far.test") != 0) return next(host, service, hints, found);
  char address[16];
  snprintf(address, sizeof address, "127.0.0.%d", Now()->far_host);
  return Now()->far_host == 0 ? EAI_NONAME : next(address, service, hints, found);
}

int clock_gettime(clockid_t clock, timespec* time) {
  static const auto next = NEXT(clock_gettime);
  const int result = next(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += Now()->clock_offset_s;
  return result;
}

}  // extern "C"
