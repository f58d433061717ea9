// Linked into every program that computes with libtorch, as short_waits.cc is.
//
// OpenBLAS takes 128 MiB for each of its threads in a constructor, before main, and where it gets none it asks again
// for ever. So a program under an address-space limit (ulimit -v) that is too low for the libraries themselves would
// hang without a word. .preinit_array runs first of all: whether the room is there is tried, and if not, the program
// ends with a line that says so. What models need on top is judged when they are loaded (common/memory).
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

extern "C" __attribute__((weak)) void openblas_set_num_threads(int threads);

namespace {

constexpr size_t kPiece = (128u << 20) + (64u << 10);  // OpenBLAS's buffer
constexpr size_t kForThread = 64u << 20;               // its stack, and the allocator's room for it
constexpr size_t kForTheRest = 1280u << 20;            // threads of gRPC and their like
constexpr int kMostBlasThreads = 64;

int ThreadsAtMost() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  const int count = CPU_COUNT(&cores);
  return count < kMostBlasThreads ? count : kMostBlasThreads;
}

size_t MappedBytes() {
  char text[64] = "";
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  return count > 0 ? strtoull(text, nullptr, 10) * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

// In pieces, as the libraries take it; all are given back.
bool CanMap(size_t bytes) {
  void* pieces[128];
  const size_t wanted = bytes / kPiece + 1;
  size_t had = 0;
  for (; had < wanted && had < sizeof pieces / sizeof *pieces; ++had) {
    pieces[had] = mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pieces[had] == MAP_FAILED) break;
  }
  const bool all = had == wanted;
  while (had > 0) munmap(pieces[--had], kPiece);
  return all;
}

// Nothing is initialised but the C library's core.
void EndWithoutRoom(int argc, char** argv, char**) {
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  const size_t threads = static_cast<size_t>(ThreadsAtMost());
  const size_t blas = openblas_set_num_threads != nullptr ? threads * kPiece : 0;
  const size_t needed = blas + threads * kForThread + kForTheRest;
  if (CanMap(needed)) return;
  const char* const name = argc > 0 ? argv[0] : "diptych";
  const char* const slash = strrchr(name, '/');
  char line[400];
  const int size = snprintf(line, sizeof line,
                            "%s: the address-space limit (ulimit -v) is %llu kB, and libtorch needs %zu kB with %zu "
                            "cores before any model: raise it, or use ulimit -v unlimited\n",
                            slash == nullptr ? name : slash + 1, static_cast<unsigned long long>(limit.rlim_cur >> 10),
                            (MappedBytes() + needed) >> 10, threads);
  if (size > 0) (void)!write(2, line, strnlen(line, sizeof line));
  _exit(1);
}

__attribute__((section(".preinit_array"), used)) void (*const look)(int, char**, char**) = &EndWithoutRoom;

}  // namespace
