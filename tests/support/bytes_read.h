// How much this process has read from files, pipes and devices since it began.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace diptych {

// Bytes that read() and its kin returned, to whatever thread; 0 where /proc does not say.
inline int64_t BytesRead() {
  std::ifstream facts("/proc/self/io");
  std::string name;
  for (int64_t value = 0; facts >> name >> value;) {
    if (name == "rchar:") return value;
  }
  return 0;
}

}  // namespace diptych
