// Linked into every program that computes with libtorch, as short_waits.cc is.
//
// Two threads that share a loop wait for each other some twenty times a layer. Beside other work each such wait costs a
// turn of the scheduler: whoever has the core runs his slice to its end, 3 ms as a rule, before the thread that was
// woken gets its share. A process may ask for shorter slices of its own. Its share of the cores stays what it was, only
// cut finer: a woken thread comes on at once, and the others lose nothing. Threads inherit it, so it is asked for
// before any library can have started one: .preinit_array runs first of all. Measured: docs/performance.md, "A busy
// host".
#include <sched.h>

#include "common/openmp/scheduling.h"

namespace {

constexpr uint64_t kSliceNanoseconds = 100'000;  // the least that the kernel grants

// Who has chosen another policy (real time, idle, a deadline) keeps it. Where the wish is refused or ignored,
// everything works as without it.
void AskForShortTurns(int, char**, char**) {
  diptych::Scheduling scheduling;
  if (!diptych::ReadScheduling(scheduling)) return;
  if (scheduling.policy != SCHED_OTHER && scheduling.policy != SCHED_BATCH) return;
  scheduling.runtime = kSliceNanoseconds;
  diptych::SetScheduling(scheduling);
}

__attribute__((section(".preinit_array"), used)) void (*const ask)(int, char**, char**) = &AskForShortTurns;

}  // namespace
