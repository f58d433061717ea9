#include "render_node/pipeline/picture_memory.h"

#include <algorithm>

namespace diptych {
namespace {

// Numbers of the width of a token, and of the feed-forward's, that are alive at the peak of a block, and what the
// attention's blocks of scores take. Measured with bench/picture_memory.
constexpr uint64_t kStepWidths = 8;
constexpr uint64_t kFeedForwardWidths = 3;
constexpr uint64_t kScoreBytes = uint64_t{64} << 20;
// Pictures of the incoming and of the outgoing channels that are alive at the peak of a residual block.
constexpr uint64_t kDecodeIn = 4;
constexpr uint64_t kDecodeOut = 3;

uint64_t Times(int64_t a, int64_t b) { return static_cast<uint64_t>(a) * static_cast<uint64_t>(b); }

// fp32, whatever the DiT computes in.
uint64_t WholeDecodeBytes(const PictureMemoryFacts& facts, int64_t width, int64_t height) {
  const std::vector<int64_t>& channels = facts.vae_channels;
  uint64_t most = 0;
  for (size_t stage = 0; stage < channels.size(); ++stage) {  // 0: at the picture's own size
    const uint64_t pixels = Times(width >> stage, height >> stage);
    const uint64_t in = static_cast<uint64_t>(channels[std::min(stage + 1, channels.size() - 1)]);
    const uint64_t out = static_cast<uint64_t>(channels[stage]);
    most = std::max(most, 4 * pixels * (kDecodeIn * in + kDecodeOut * out));
  }
  return most == 0 ? 0 : most + kScoreBytes;
}

}  // namespace

uint64_t StepBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, int32_t together) {
  const int64_t tokens = (width / facts.pixels_a_token) * int64_t{height / facts.pixels_a_token} + facts.caption_rows;
  const uint64_t all = Times(tokens, together);
  // Norms, rotations and attention work in fp32 and 4 bytes a number whatever the element.
  return all * (4 * kStepWidths * static_cast<uint64_t>(facts.dim) +
                kFeedForwardWidths * Times(facts.ffn_dim, facts.element)) +
         kScoreBytes + 4 * 16 * Times(facts.heads, tokens);
}

uint64_t DecodeBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling) {
  const DecodeTiles tiles = tiling.For(width, height);
  const uint64_t result = 4 * 3 * 3 * Times(width, height);  // the picture as numbers, scaled and as bytes
  if (tiles.size == 0) return WholeDecodeBytes(facts, width, height) + result;
  return WholeDecodeBytes(facts, std::min(width, tiles.size), std::min(height, tiles.size)) + result +
         4 * Times(width, height);
}

uint64_t PictureBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling) {
  return std::max(facts.dit_on_host ? StepBytes(facts, width, height) : 0,
                  facts.vae_on_host ? DecodeBytes(facts, width, height, tiling) : 0);
}

}  // namespace diptych
