#include "bench/support/busy_neighbours.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "common/openmp/scheduling.h"

namespace diptych::bench {
namespace {

[[noreturn]] void ComputeForEver(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  Scheduling scheduling;
  if (!ReadScheduling(scheduling)) _exit(1);
  scheduling.runtime = 0;  // the slice of other people's programs, not the one that ours ask for
  if (!SetScheduling(scheduling)) _exit(1);
  for (volatile unsigned long n = 1;;) n = n * 6364136223846793005UL + 1442695040888963407UL;
}

}  // namespace

BusyNeighbours::BusyNeighbours(int count) {
  const pid_t parent = getpid();
  for (int i = 0; i < count; ++i) {
    const pid_t process = fork();
    if (process < 0) throw std::runtime_error("cannot start a process that computes beside");
    if (process == 0) ComputeForEver(parent);
    processes_.push_back(process);
  }
  Pause();
}

BusyNeighbours::~BusyNeighbours() {
  Signal(SIGKILL);
  for (const pid_t process : processes_) waitpid(process, nullptr, 0);
}

// The scheduler takes a moment to spread them over the cores.
void BusyNeighbours::Compute() {
  Signal(SIGCONT);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

void BusyNeighbours::Pause() { Signal(SIGSTOP); }

void BusyNeighbours::Signal(int number) const {
  for (const pid_t process : processes_) kill(process, number);
}

}  // namespace diptych::bench
