// How many CPU threads a computation should use.
#pragma once

namespace diptych {

// Physical cores among the CPUs that this process may run on; hyper-threads of one core count once. At least 1.
int PhysicalCores();

// How many of `threads` are worth it for work that comes in pieces of `flop` floating-point operations, a layer of a
// network for instance, between which all threads wait for each other several times. Small pieces are done by fewer:
// they gain little alone, and beside other work each wait costs a turn of the scheduler. Depends on nothing else, so
// that equal work is always done by as many, and its results round alike.
int ThreadsWorthwhile(double flop, int threads);

}  // namespace diptych
