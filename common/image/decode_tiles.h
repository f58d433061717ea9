// In which pieces a VAE decodes a picture. Tiles are blended where they overlap, which changes pixels a little.
#pragma once

#include <algorithm>
#include <cstdint>

namespace diptych {

struct DecodeTiles {
  int32_t size = 0;     // pixels a side; 0: the picture is decoded as a whole
  int32_t overlap = 0;  // pixels that neighbours share at least; below `size`

  bool operator==(const DecodeTiles&) const = default;
};

// What a renderer does with pictures of any size.
struct TilingRule {
  DecodeTiles tiles;   // size 0: never in tiles
  int32_t beyond = 0;  // pixels; pictures with a longer side than this are decoded in tiles

  DecodeTiles For(int32_t width, int32_t height) const {
    return tiles.size > 0 && std::max(width, height) > beyond ? tiles : DecodeTiles{};
  }
};

}  // namespace diptych
