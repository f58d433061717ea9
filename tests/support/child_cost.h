// What a piece of work costs at most, for tests that promise a bound: it runs in a process of its own.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>
#include <exception>
#include <string>

#include "tests/support/cpu_time.h"

namespace diptych {

// Sanitizers keep what is freed, and more beside it.
inline constexpr int64_t kMemoryAllowance = kTimeAllowance > 1 ? 10 : 1;

struct ChildCost {
  bool ended = false;      // by itself, within 120 s
  std::string refusal;     // what() of the exception that ended it; empty: none
  double cpu_s = 0;        // to hold against a bound times kTimeAllowance
  int64_t memory_mib = 0;  // by which its peak grew; to hold against a bound times kMemoryAllowance
};

template <typename Work>
ChildCost CostInChild(const Work& work) {
  struct Report {
    double cpu_s;
    int64_t memory_mib;
    char refusal[400];
  };
  int ends[2];
  if (pipe(ends) != 0) return {};
  const auto peak_kib = [] {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const pid_t child = fork();
  if (child == 0) {
    alarm(120);
    Report report = {};
    const auto before = peak_kib();
    const std::clock_t begin = std::clock();
    try {
      work();
    } catch (const std::exception& error) {
      std::string(error.what()).copy(report.refusal, sizeof(report.refusal) - 1);
    }
    report.cpu_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    report.memory_mib = (peak_kib() - before) / 1024;
    const bool told = write(ends[1], &report, sizeof(report)) == static_cast<ssize_t>(sizeof(report));
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  Report report = {};
  ChildCost cost;
  cost.ended = read(ends[0], &report, sizeof(report)) == static_cast<ssize_t>(sizeof(report));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  cost.refusal = report.refusal;
  cost.cpu_s = report.cpu_s;
  cost.memory_mib = report.memory_mib;
  return cost;
}

}  // namespace diptych
