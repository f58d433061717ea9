// The usual host: other processes compute beside.
#pragma once

#include <sys/types.h>

#include <vector>

namespace diptych::bench {

// `count` processes at the usual priority that do nothing but compute while they are told to. Make it before the first
// thread. They end with this object or with this process.
class BusyNeighbours {
 public:
  explicit BusyNeighbours(int count);  // they pause
  ~BusyNeighbours();
  BusyNeighbours(const BusyNeighbours&) = delete;
  BusyNeighbours& operator=(const BusyNeighbours&) = delete;

  bool none() const { return processes_.empty(); }
  void Compute();
  void Pause();

 private:
  void Signal(int number) const;

  std::vector<pid_t> processes_;
};

}  // namespace diptych::bench
