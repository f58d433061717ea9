// Prints what a program that computes finds in main: its pid, name, arguments and environment, a line each.
#include <ATen/Parallel.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

int main(int argc, char** argv, char** environment) {
  std::string name;
  std::ifstream("/proc/self/comm") >> name;
  std::printf("pid=%d\ncomm=%s\nthreads=%d\n", static_cast<int>(getpid()), name.c_str(), at::get_num_threads());
  for (int i = 0; i < argc; ++i) std::printf("argument=%s\n", argv[i]);
  for (; *environment != nullptr; ++environment) std::printf("environment=%s\n", *environment);
  return 0;
}
