// Linked into every program that computes with libtorch (cmake/DiptychTargets.cmake); nothing calls it, so it has no
// header.
//
// Between two parallel loops GNU OpenMP lets a thread spin for about 300 000 rounds, milliseconds, before it sleeps. On
// an idle machine that saves a wake-up; beside other work the spinning thread burns the share of the core that the
// thread it waits for needs, and a pass takes tens of times longer (docs/performance.md). The library reads how long it
// may spin from GOMP_SPINCOUNT in a constructor of its own, before main. So a program that finds neither that variable
// nor OMP_WAIT_POLICY starts itself anew with it, as the same process, before any library has been initialised:
// .preinit_array runs first of all, there are no threads yet, and the second start is the only one that gets further.
// Whoever sets one of the two variables decides alone. The variable is taken out of the environment again, so that
// programs started by this one find what the user has set.
#include <elf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <initializer_list>

namespace {

// Measured: docs/performance.md, "A busy host".
char spin_count[] = "GOMP_SPINCOUNT=10000";
char mark[] = "DIPTYCH_SHORT_WAITS=1";  // the variable above is ours

bool Names(const char* variable, const char* name) {
  const size_t length = strlen(name);
  return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

const char* Value(char* const* environment, const char* name) {
  for (; *environment != nullptr; ++environment) {
    if (Names(*environment, name)) return *environment + strlen(name) + 1;
  }
  return nullptr;
}

// Where the running program lies, and under its own name: /proc/self/exe itself would call the process "exe". False
// where that cannot be told, or where another file lies there by now.
bool FindProgram(char (&path)[PATH_MAX]) {
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return false;
  path[length] = '\0';
  struct stat running, found;
  return stat("/proc/self/exe", &running) == 0 && stat(path, &found) == 0 && running.st_dev == found.st_dev &&
         running.st_ino == found.st_ino;
}

// Nothing is initialised but the C library's core: no streams, no environ, no C++ objects.
void StartAnewWithShortWaits(int argc, char** argv, char** environment) {
  for (const char* name : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "DIPTYCH_SHORT_WAITS"}) {
    if (Value(environment, name) != nullptr) return;
  }
  // Run by name of the loader (ld.so PROGRAM), with more rights than its caller, or inside valgrind, whose child would
  // run without it: no.
  if (argc < 1 || getauxval(AT_BASE) == 0 || getauxval(AT_SECURE) != 0) return;
  const char* preloaded = Value(environment, "LD_PRELOAD");
  if (preloaded != nullptr && strstr(preloaded, "vgpreload") != nullptr) return;

  char path[PATH_MAX];
  if (!FindProgram(path)) return;
  size_t count = 0;
  while (environment[count] != nullptr) ++count;
  char** wider = static_cast<char**>(malloc((count + 3) * sizeof *wider));
  if (wider == nullptr) return;
  memcpy(wider, environment, count * sizeof *wider);
  wider[count] = spin_count;
  wider[count + 1] = mark;
  wider[count + 2] = nullptr;
  execve(path, argv, wider);
  free(wider);  // it may not be started a second time: it goes on as it is
}

__attribute__((section(".preinit_array"), used)) void (*const start_anew)(int, char**,
                                                                          char**) = &StartAnewWithShortWaits;

// After the constructors of the libraries, OpenMP's among them.
__attribute__((constructor)) void ForgetTheVariables() {
  if (getenv("DIPTYCH_SHORT_WAITS") == nullptr) return;
  unsetenv("GOMP_SPINCOUNT");
  unsetenv("DIPTYCH_SHORT_WAITS");
}

}  // namespace
