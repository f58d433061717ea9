// Prints what a program that computes finds in main: its pid, name, scheduling, arguments and environment, a line each.
#include <ATen/Parallel.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "common/openmp/scheduling.h"

int main(int argc, char** argv, char** environment) {
  std::string name;
  std::ifstream("/proc/self/comm") >> name;
  std::printf("pid=%d\ncomm=%s\nthreads=%d\n", static_cast<int>(getpid()), name.c_str(), at::get_num_threads());
  diptych::Scheduling scheduling;
  if (diptych::ReadScheduling(scheduling)) {
    std::printf("policy=%u\nnice=%d\nslice=%llu\n", scheduling.policy, scheduling.nice,
                static_cast<unsigned long long>(scheduling.runtime));
  }
  for (int i = 0; i < argc; ++i) std::printf("argument=%s\n", argv[i]);
  for (; *environment != nullptr; ++environment) std::printf("environment=%s\n", *environment);
  return 0;
}
