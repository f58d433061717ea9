#include "render_node/pipeline/picture_memory.h"

#include <gtest/gtest.h>

#include "common/error/error.h"
#include "render_node/pipeline/picture_renderer.h"

namespace diptych {
namespace {

// Z-Image's shape.
PictureMemoryFacts Real() {
  return {.dim = 3840, .ffn_dim = 10240, .heads = 30, .caption_rows = 64, .vae_channels = {128, 256, 512, 512}};
}

const TilingRule kTiles{.tiles = {.size = 512, .overlap = 64}, .beyond = 1024};

TEST(PictureMemory, GrowsWithTheTokens) {
  const uint64_t small = StepBytes(Real(), 512, 512), large = StepBytes(Real(), 1024, 1024);
  EXPECT_GT(large, 2 * small);
  EXPECT_LT(large, 4 * small);
  EXPECT_GT(StepBytes(Real(), 512, 512, 4), 2 * small);
}

// docs/performance.md, "Memory of a picture", in MB: never less, and for large pictures not much more.
TEST(PictureMemory, IsWhatWasMeasuredOrALittleMore) {
  const auto megabytes = [](uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  const struct {
    int32_t side;
    double decoding;
  } decoded[] = {{256, 389}, {384, 794}, {512, 1205}, {768, 2502}, {1024, 4064}};
  for (const auto& [side, decoding] : decoded) {
    EXPECT_GT(megabytes(DecodeBytes(Real(), side, side, {})), decoding) << side;
    EXPECT_LT(megabytes(DecodeBytes(Real(), side, side, {})), 1.25 * decoding) << side;
  }
  EXPECT_GT(megabytes(EncodeBytes(Real(), 256, 256, {})), 201);
  EXPECT_GT(megabytes(EncodeBytes(Real(), 512, 512, {})), 807);
  EXPECT_LT(megabytes(EncodeBytes(Real(), 512, 512, {})), 1.25 * 807);
  EXPECT_GT(megabytes(StepBytes(Real(), 512, 512)), 195);
  EXPECT_GT(megabytes(StepBytes(Real(), 1024, 1024)), 592);
  EXPECT_LT(megabytes(StepBytes(Real(), 1024, 1024)), 1.2 * 592);
}

TEST(PictureMemory, IsThatOfATileForALargePicture) {
  const uint64_t whole = DecodeBytes(Real(), 1024, 1024, kTiles), tiled = DecodeBytes(Real(), 2048, 2048, kTiles);
  EXPECT_LT(tiled, whole);
  EXPECT_GT(DecodeBytes(Real(), 2048, 2048, {}), 3 * whole);
}

TEST(PictureMemory, EncodingTakesLessThanDecodingUnlessTheVaeNarrows) {
  for (const int32_t side : {256, 512, 1024, 2048}) {
    EXPECT_LT(EncodeBytes(Real(), side, side, kTiles), DecodeBytes(Real(), side, side, kTiles)) << side;
  }
  PictureMemoryFacts narrowing = Real();
  narrowing.vae_channels = {512, 32, 32, 32};
  EXPECT_GT(EncodeBytes(narrowing, 512, 512, kTiles), DecodeBytes(narrowing, 512, 512, kTiles));
  EXPECT_EQ(PictureBytes(narrowing, 512, 512, kTiles), EncodeBytes(narrowing, 512, 512, kTiles));
}

TEST(PictureMemory, LeavesOutWhatAGpuDoes) {
  PictureMemoryFacts facts = Real();
  facts.dit_on_host = false;
  EXPECT_EQ(PictureBytes(facts, 512, 512, kTiles), DecodeBytes(facts, 512, 512, kTiles));
  facts.vae_on_host = false;
  EXPECT_EQ(PictureBytes(facts, 512, 512, kTiles), 0u);
}

TEST(PictureMemory, RefusesWhatCanNeverFitAndNamesWhatDoes) {
  RendererFacts facts;
  facts.size_multiple = 16;
  facts.max_side = 4096;
  facts.picture_memory = Real();
  facts.tiling = kTiles;
  facts.room = MemoryRoom{uint64_t{6'000'000'000}, "the limit of control group /a"};
  RenderParameters parameters{.width = 4096, .height = 4096};
  try {
    CheckRenderParameters(parameters, facts);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
    const std::string text = error.what();
    EXPECT_EQ(text.rfind("a picture of 4096x4096 needs about ", 0), 0u) << text;
    EXPECT_NE(
        text.find("this renderer has at most 6.0 GB (the limit of control group /a); the largest square that fits is "),
        std::string::npos)
        << text;
    const int side = std::stoi(text.substr(text.rfind('x') + 1));
    parameters.width = parameters.height = side;
    EXPECT_NO_THROW(CheckRenderParameters(parameters, facts));
    parameters.width = parameters.height = side + 16;
    EXPECT_THROW(CheckRenderParameters(parameters, facts), Error);
  }
  facts.room.reset();  // nothing is known
  parameters.width = parameters.height = 4096;
  EXPECT_NO_THROW(CheckRenderParameters(parameters, facts));
}

}  // namespace
}  // namespace diptych
