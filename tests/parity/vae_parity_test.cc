// The VAE against diffusers, tap by tap, and the tiled decode against the plain one.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <string>
#include <utility>

#include "common/nn/pieces.h"
#include "gtest/gtest.h"
#include "render_node/vae/decoder.h"
#include "render_node/vae/encoder.h"
#include "render_node/vae/tiling.h"
#include "tests/parity/support/golden.h"

namespace diptych::vae {
namespace {

using parity::Golden;

Decoder Load(const std::string& toy) {
  return Decoder(parity::Weights(toy, "vae", at::kFloat), Config::Parse(parity::ConfigText(toy, "vae"), toy));
}

TEST(VaeParity, EveryTapEqualsDiffusersInFp32) {
  for (const std::string toy : parity::kToys) {
    const Decoder decoder = Load(toy);
    const Golden golden(toy + "/golden_vae.safetensors");
    parity::TapComparison taps(golden, "small.");
    decoder.Decode(decoder.Unscale(golden["small.z"].squeeze(0)), taps.tap());
    EXPECT_EQ(taps.compared(), decoder.config().block_out_channels.size() + 4) << toy;
    EXPECT_LE(taps.worst(), 1e-4) << toy << " " << taps.worst_name();
  }
}

TEST(VaeParity, TheWholePictureEqualsDiffusersInFp32) {
  for (const std::string toy : parity::kToys) {
    const Decoder decoder = Load(toy);
    const Golden golden(toy + "/golden_vae.safetensors");
    const at::Tensor image = decoder.Decode(decoder.Unscale(golden["z"].squeeze(0)));
    EXPECT_LE(parity::RelativeDifference(image, golden["output"].squeeze(0)), 1e-4) << toy;
  }
}

// As a large tile is decoded: convolutions in strips of a few rows.
TEST(VaeParity, InStripsItIsTheSamePictureAndSomebodyLooksBetweenThem) {
  for (const std::string toy : parity::kToys) {
    const Decoder decoder = Load(toy);
    const at::Tensor z = decoder.Unscale(Golden(toy + "/golden_vae.safetensors")["z"].squeeze(0));
    int looks = 0;
    const Pause pause = [&looks] { ++looks; };
    const nn::PauseScope scope(pause);
    const at::Tensor whole = decoder.Decode(z);
    const int looks_at_the_whole = std::exchange(looks, 0);
    const nn::PauseScope small(pause, 1);
    EXPECT_LE(parity::RelativeDifference(decoder.Decode(z), whole), 1e-5) << toy;
    EXPECT_GT(looks, 2 * looks_at_the_whole) << toy;
    EXPECT_TRUE(ToBytes(whole).equal(((whole * 0.5 + 0.5).clamp(0, 1).permute({1, 2, 0}) * 255).round().to(at::kByte)));
  }
}

TEST(VaeParity, PixelsThatOneTileOwnsAreThatTilesUpToThePicturesBorder) {
  const Decoder decoder = Load("toy_a");
  const int64_t scale = decoder.config().scale();
  const at::Tensor z = at::randn({16, 40, 40}, at::TensorOptions());
  const auto decode = [&](const at::Tensor& tile) { return decoder.Decode(tile); };
  const at::Tensor tiled = DecodeTiled(z, scale, {.tile = 24, .overlap = 8}, decode, CancelToken());
  ASSERT_EQ(tiled.sizes(), (at::IntArrayRef{3, 40 * scale, 40 * scale}));
  const int64_t owned = 16 * scale;  // tiles begin at 0 and 16
  const at::Tensor first = decoder.Decode(z.slice(1, 0, 24).slice(2, 0, 24)),
                   last = decoder.Decode(z.slice(1, 16).slice(2, 16));
  EXPECT_TRUE(
      tiled.slice(1, 0, owned).slice(2, 0, owned).allclose(first.slice(1, 0, owned).slice(2, 0, owned), 1e-5, 1e-5));
  EXPECT_TRUE(tiled.slice(1, -owned).slice(2, -owned).allclose(last.slice(1, -owned).slice(2, -owned), 1e-5, 1e-5));
}

Encoder LoadEncoder(const std::string& toy) {
  return Encoder(parity::Weights(toy, "vae", at::kFloat), Config::Parse(parity::ConfigText(toy, "vae"), toy));
}

TEST(VaeEncoderParity, EveryTapEqualsDiffusersInFp32) {
  for (const std::string toy : parity::kToys) {
    const Encoder encoder = LoadEncoder(toy);
    const Golden golden(toy + "/golden_vae_encode.safetensors");
    const at::Tensor image = FromBytes(golden["small.picture"]);
    EXPECT_TRUE(image.equal(golden["small.image"].squeeze(0))) << toy;
    parity::TapComparison taps(golden, "small.");
    encoder.Encode(image, taps.tap());
    EXPECT_EQ(taps.compared(), Load(toy).config().block_out_channels.size() + 4) << toy;
    EXPECT_LE(taps.worst(), 1e-4) << toy << " " << taps.worst_name();
  }
}

TEST(VaeEncoderParity, TheSampleOfASeedEqualsDiffusers) {
  for (const std::string toy : parity::kToys) {
    const Golden golden(toy + "/golden_vae_encode.safetensors");
    const Config config = Config::Parse(parity::ConfigText(toy, "vae"), toy);
    const at::Tensor moments = LoadEncoder(toy).Encode(golden["small.image"].squeeze(0));
    const Posterior posterior(moments);
    const at::Tensor noise = at::randn(posterior.mean.sizes(), at::detail::createCPUGenerator(5));
    const at::Tensor sample = Scale(posterior.Sample(noise), config);
    EXPECT_LE(parity::RelativeDifference(sample, golden["small.sample"].squeeze(0)), 1e-4) << toy;
    EXPECT_TRUE(posterior.mean.equal(moments.slice(0, 0, config.latent_channels)));
    const at::Tensor back = Load(toy).Unscale(Scale(posterior.mean, config));
    EXPECT_LE(parity::RelativeDifference(back, posterior.mean), 1e-5) << toy;
  }
}

TEST(VaeEncoderParity, LogVariancesFarOutAreBounded) {
  const Golden golden("toy_a/golden_vae_encode.safetensors");
  const Posterior posterior(golden["clamped.moments"].squeeze(0));
  const at::Tensor expected = golden["clamped.deviation"].squeeze(0);
  ASSERT_EQ(posterior.deviation.sizes(), expected.sizes());
  EXPECT_TRUE(posterior.deviation.allclose(expected, 1e-5, 0));
}

TEST(VaeEncoderParity, InTilesItEqualsDiffusers) {
  for (const std::string toy : parity::kToys) {
    const Encoder encoder = LoadEncoder(toy);
    const Golden golden(toy + "/golden_vae_encode.safetensors");
    const at::Tensor image = FromBytes(golden["tiled.picture"]);  // 88 high, 104 wide
    int tiles = 0;
    const auto encode = [&](const at::Tensor& tile) {
      ++tiles;
      return encoder.Encode(tile);
    };
    const Tiling tiling{.tile = 8, .overlap = 2};
    const at::Tensor tiled = EncodeTiled(image, 8, tiling, encode, CancelToken());
    EXPECT_EQ(tiles, 6);  // rows from 0 and 48, columns from 0, 48 and 96
    EXPECT_LE(parity::RelativeDifference(tiled, golden["tiled.moments"].squeeze(0)), 1e-4) << toy;
    const at::Tensor whole = EncodeTiled(image, 8, {.tile = 13, .overlap = 2}, encode, CancelToken());
    EXPECT_EQ(std::exchange(tiles, 0), 7) << "it fits";
    EXPECT_LE(parity::RelativeDifference(whole, golden["tiled.whole"].squeeze(0)), 1e-4) << toy;
    const CancelToken cancelled;
    const auto encode_once = [&](const at::Tensor& tile) {
      cancelled.Cancel();
      return encode(tile);
    };
    EXPECT_THROW(EncodeTiled(image, 8, tiling, encode_once, cancelled), Error);
    EXPECT_EQ(tiles, 1);
  }
}

TEST(VaeEncoderParity, InStripsItGivesTheSameAndSomebodyLooksBetweenThem) {
  for (const std::string toy : parity::kToys) {
    const Encoder encoder = LoadEncoder(toy);
    const at::Tensor bytes = Golden(toy + "/golden_vae_encode.safetensors")["tiled.picture"];
    int looks = 0;
    const Pause pause = [&looks] { ++looks; };
    const nn::PauseScope scope(pause);
    const at::Tensor image = FromBytes(bytes), whole = encoder.Encode(image);
    const int looks_at_the_whole = std::exchange(looks, 0);
    const nn::PauseScope small(pause, 1);
    EXPECT_TRUE(FromBytes(bytes).equal(image));
    EXPECT_LE(parity::RelativeDifference(encoder.Encode(image), whole), 1e-5) << toy;
    EXPECT_GT(looks, 2 * looks_at_the_whole) << toy;
  }
}

TEST(FromBytes, IsTheInverseOfToBytes) {
  const at::Tensor bytes = at::arange(256, at::kByte).view({4, 64, 1}).expand({4, 64, 3}).contiguous();
  EXPECT_TRUE(ToBytes(FromBytes(bytes)).equal(bytes));
  EXPECT_EQ(FromBytes(bytes)[0][0][0].item<float>(), -1);
  EXPECT_EQ(FromBytes(bytes)[2][3][63].item<float>(), 1);
}

TEST(ToBytes, RoundsHalfToEvenAndClamps) {
  // For k >= 128 the way from a value to k + 0.5 is exact in fp32, so even k show the rule: half up would give k + 1.
  std::vector<float> values = {-5.f, 5.f};
  for (const int k : {128, 130, 140, 200}) values.push_back(2 * ((static_cast<float>(k) + 0.5f) / 255) - 1);
  const at::Tensor bytes = ToBytes(at::tensor(values).reshape({1, 1, 6}).expand({3, 1, 6}));
  ASSERT_EQ(bytes.sizes(), (at::IntArrayRef{1, 6, 3}));
  const int expected[] = {0, 255, 128, 130, 140, 200};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(bytes[0][i][2].item<int>(), expected[i]);
}

}  // namespace
}  // namespace diptych::vae
