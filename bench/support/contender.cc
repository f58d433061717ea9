#include "bench/support/contender.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <vector>

namespace diptych::bench {
namespace {

double Milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double Median(const std::vector<double>& sorted) {
  return (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
}

void Print(const char* name, const std::vector<double>& sorted) {
  std::printf("%-7s %.1f ms (%.1f..%.1f)\n", name, Median(sorted), sorted.front(), sorted.back());
}

}  // namespace

std::map<std::string, std::string> Arguments(int argc, char** argv, std::map<std::string, std::string> defaults) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool known = flag.rfind("--", 0) == 0 && defaults.count(flag.substr(2)) != 0 && i + 1 < argc;
    if (!known) {
      std::fprintf(stderr, "usage: %s", argv[0]);
      for (const auto& [name, value] : defaults) std::fprintf(stderr, " [--%s %s]", name.c_str(), value.c_str());
      std::fprintf(stderr, "\n");
      std::exit(2);
    }
    defaults[flag.substr(2)] = argv[++i];
  }
  return defaults;
}

void Contend(const std::function<void()>& work) {
  work();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << Milliseconds(work) << std::endl;
}

void Contend(const std::function<void()>& work, BusyNeighbours& neighbours, int rounds) {
  if (neighbours.none()) return Contend(work);
  std::vector<double> alone, beside;
  work();
  for (int i = 0; i < rounds; ++i) {
    alone.push_back(Milliseconds(work));
    neighbours.Compute();
    beside.push_back(Milliseconds(work));
    neighbours.Pause();
  }
  std::sort(alone.begin(), alone.end());
  std::sort(beside.begin(), beside.end());
  Print("alone", alone);
  Print("beside", beside);
  std::printf("ratio %.2f\n", Median(beside) / Median(alone));
}

}  // namespace diptych::bench
