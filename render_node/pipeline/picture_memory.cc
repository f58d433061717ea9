#include "render_node/pipeline/picture_memory.h"

#include <algorithm>

namespace diptych {
namespace {

// Measured with bench/picture_memory; docs/performance.md, "Memory of a picture". A CPU computes in pieces
// (common/nn/pieces.h), so that only a part of the feed-forward's numbers and of a convolution's is alive at a time; a
// GPU's pieces are larger than pictures, and nothing was measured there.

// Numbers of the width of a token, and of the feed-forward's, that are alive at the peak of a block, and what the
// attention's blocks of scores take.
constexpr uint64_t kStepWidths = 7;
constexpr uint64_t kFeedForwardWidths = 3;
constexpr uint64_t kScoreBytes = uint64_t{64} << 20;
// Tokens of a CPU's piece of the feed-forward: 813 at Z-Image's width, all of them in a narrow model.
constexpr uint64_t kFeedForwardTokens = 1024;

// Pictures of the incoming and of the outgoing channels that are alive at the peak of a residual block, and what does
// not grow with them.
struct ResnetPeak {
  uint64_t in, out, fixed;
};
constexpr ResnetPeak kInPieces = {3, 2, uint64_t{192} << 20}, kUncut = {4, 3, uint64_t{64} << 20};

uint64_t Times(int64_t a, int64_t b) { return static_cast<uint64_t>(a) * static_cast<uint64_t>(b); }

enum class Way { kDecode, kEncode };

// fp32, whatever the DiT computes in.
uint64_t WholeBytes(const PictureMemoryFacts& facts, int64_t width, int64_t height, Way way) {
  const std::vector<int64_t>& channels = facts.vae_channels;
  const ResnetPeak& peak = facts.vae_on_host ? kInPieces : kUncut;
  uint64_t most = 0;
  for (size_t stage = 0; stage < channels.size(); ++stage) {  // 0: at the picture's own size
    const uint64_t pixels = Times(width >> stage, height >> stage);
    const size_t before = way == Way::kDecode ? std::min(stage + 1, channels.size() - 1) : stage - (stage > 0 ? 1 : 0);
    const uint64_t in = static_cast<uint64_t>(channels[before]), out = static_cast<uint64_t>(channels[stage]);
    most = std::max(most, 4 * pixels * (peak.in * in + peak.out * out));
  }
  return most + std::min(most, peak.fixed);  // a small picture is one piece
}

// One tile of it.
uint64_t PieceBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const DecodeTiles& tiles, Way way) {
  if (tiles.size == 0) return WholeBytes(facts, width, height, way);
  return WholeBytes(facts, std::min(width, tiles.size), std::min(height, tiles.size), way);
}

}  // namespace

uint64_t StepBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, int32_t together) {
  const int64_t tokens = (width / facts.pixels_a_token) * int64_t{height / facts.pixels_a_token} + facts.caption_rows;
  const uint64_t all = Times(tokens, together);
  const uint64_t in_feed_forward = facts.dit_on_host ? std::min(all, kFeedForwardTokens) : all;
  // Norms, rotations and attention work in fp32 and 4 bytes a number whatever the element.
  return all * 4 * kStepWidths * static_cast<uint64_t>(facts.dim) +
         in_feed_forward * kFeedForwardWidths * Times(facts.ffn_dim, facts.element) + kScoreBytes +
         4 * 16 * Times(facts.heads, tokens);
}

uint64_t DecodeBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling) {
  const DecodeTiles tiles = tiling.For(width, height);
  const uint64_t result = 4 * 3 * 3 * Times(width, height);  // the picture as numbers, scaled and as bytes
  const uint64_t weights = tiles.size == 0 ? 0 : 4 * Times(width, height);
  return PieceBytes(facts, width, height, tiles, Way::kDecode) + result + weights;
}

uint64_t EncodeBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling) {
  const uint64_t source = 4 * 3 * 2 * Times(width, height);  // as numbers, by pixels and by channels
  return PieceBytes(facts, width, height, tiling.For(width, height), Way::kEncode) + source;
}

uint64_t PictureBytes(const PictureMemoryFacts& facts, int32_t width, int32_t height, const TilingRule& tiling) {
  return std::max({facts.dit_on_host ? StepBytes(facts, width, height) : 0,
                   facts.vae_on_host ? DecodeBytes(facts, width, height, tiling) : 0,
                   facts.vae_on_host ? EncodeBytes(facts, width, height, tiling) : 0});
}

}  // namespace diptych
