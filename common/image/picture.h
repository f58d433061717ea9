// A picture in memory.
#pragma once

#include <cstdint>
#include <vector>

namespace diptych {

struct Picture {
  int32_t width = 0;   // pixels
  int32_t height = 0;  // pixels
  std::vector<uint8_t> rgb;  // [height, width, 3], row-major, 8 bits a channel
};

}  // namespace diptych
