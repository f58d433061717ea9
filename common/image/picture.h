// A picture in memory.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace diptych {

struct Picture {
  int32_t width = 0;         // pixels
  int32_t height = 0;        // pixels
  std::vector<uint8_t> rgb;  // [height, width, 3], row-major, 8 bits a channel
};

// One value a pixel: a mask, or how opaque a picture is.
struct GreyPicture {
  int32_t width = 0;          // pixels
  int32_t height = 0;         // pixels
  std::vector<uint8_t> grey;  // [height, width], row-major, 0 to 255
};

// What a picture's file says besides its pixels: keyword and text in UTF-8, in file order.
using PictureText = std::vector<std::pair<std::string, std::string>>;

}  // namespace diptych
