#include "render_node/pipeline/latent_preview.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

LatentState Noise(int32_t channels, int32_t height, int32_t width, uint32_t seed, float spread = 1) {
  LatentState latent{.step = 1, .channels = channels, .height = height, .width = width};
  std::mt19937 random(seed);
  for (int64_t i = 0; i < int64_t{channels} * height * width; ++i) {
    latent.values.push_back(spread * (static_cast<float>(random() % 2001) / 1000 - 1));
  }
  return latent;
}

// A VAE whose blocks of `scale` x `scale` pixels are a linear map of the latent, plus a checkerboard that a mean does
// not see.
struct LinearVae {
  double Value(const LatentState& latent, size_t place, int c) const {
    const size_t places = latent.values.size() / static_cast<size_t>(latent.channels);
    double value = 100 + 20 * c;
    for (size_t i = 0; i < static_cast<size_t>(latent.channels); ++i) {
      value += latent.values[i * places + place] * gain * std::sin(1.0 + static_cast<double>(i) + 3 * c);
    }
    return value;
  }
  Picture Decode(const LatentState& latent) const {
    Picture picture{latent.width * scale, latent.height * scale, {}};
    for (int32_t y = 0; y < picture.height; ++y) {
      for (int32_t x = 0; x < picture.width; ++x) {
        const auto place = static_cast<size_t>(y / scale * latent.width + x / scale);
        for (int c = 0; c < 3; ++c) {
          const double value = Value(latent, place, c) + ((x + y) % 2 == 0 ? 4 : -4);
          picture.rgb.push_back(static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0))));
        }
      }
    }
    return picture;
  }
  int32_t scale = 8;
  double gain = 10;
};

double MeanError(const LatentPreview& preview, const LinearVae& vae, const LatentState& latent) {
  const Picture shown = preview.Show(latent);
  double sum = 0;
  for (size_t i = 0; i < shown.rgb.size(); ++i) {
    sum += std::abs(shown.rgb[i] - vae.Value(latent, i / 3, static_cast<int>(i % 3)));
  }
  return sum / static_cast<double>(shown.rgb.size());
}

std::string RefusalOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(LatentPreview, FindsALinearVaeOfAnyNumberOfChannelsAndScale) {
  for (const int32_t channels : {1, 4, 16, 32}) {
    for (const int32_t scale : {1, 2, 8}) {
      const LinearVae vae{.scale = scale, .gain = 40.0 / channels};
      LatentPreview preview(channels);
      preview.Learn(Noise(channels, 24, 16, 1), vae.Decode(Noise(channels, 24, 16, 1)));
      const LatentState other = Noise(channels, 9, 13, 2);
      const Picture shown = preview.Show(other);
      EXPECT_EQ(shown.width, 13);
      EXPECT_EQ(shown.height, 9);
      EXPECT_LE(MeanError(preview, vae, other), scale == 1 ? 2 : 0.7) << channels << " channels, scale " << scale;
    }
  }
}

TEST(LatentPreview, IsGreyBeforeItLearnedAnything) {
  const Picture shown = LatentPreview(16).Show(Noise(16, 2, 3, 1));
  EXPECT_EQ(shown.rgb, std::vector<uint8_t>(18, 128));
}

TEST(LatentPreview, StaysWithin0To255WhateverTheLatent) {
  const LinearVae vae;
  LatentPreview preview(2);
  preview.Learn(Noise(2, 16, 16, 1), vae.Decode(Noise(2, 16, 16, 1)));
  LatentState latent{.step = 1, .channels = 2, .height = 1, .width = 4};
  const float nan = std::numeric_limits<float>::quiet_NaN(), huge = std::numeric_limits<float>::max();
  latent.values = {huge, -huge, nan, INFINITY, 0, 0, 0, 0};
  const Picture shown = preview.Show(latent);
  EXPECT_EQ(shown.rgb[0], 255);  // sin(1) > 0
  EXPECT_EQ(shown.rgb[3], 0);
  EXPECT_EQ(shown.rgb[6], 0);
  EXPECT_EQ(shown.rgb[9], 255);
}

TEST(LatentPreview, FollowsAVaeThatIsNotAsItBegan) {
  const LinearVae first, then{.gain = -10};
  LatentPreview preview(4);
  preview.Learn(Noise(4, 16, 16, 1), first.Decode(Noise(4, 16, 16, 1)));
  EXPECT_LE(MeanError(preview, first, Noise(4, 8, 8, 2)), 0.6);
  for (uint32_t seed = 3; seed < 8; ++seed) preview.Learn(Noise(4, 64, 64, seed), then.Decode(Noise(4, 64, 64, seed)));
  EXPECT_LE(MeanError(preview, then, Noise(4, 8, 8, 2)), 1);
}

TEST(LatentPreview, AHundredFlatPicturesDoNotHideTheNext) {
  const LinearVae vae;
  LatentPreview preview(16);
  const LatentState flat = Noise(16, 64, 64, 2, 0), next = Noise(16, 16, 16, 1);
  const Picture picture = vae.Decode(flat);
  for (int i = 0; i < 100; ++i) preview.Learn(flat, picture);
  const double before = MeanError(preview, vae, next);
  preview.Learn(next, vae.Decode(next));
  EXPECT_LE(MeanError(preview, vae, next), before / 3);
}

TEST(LatentPreview, FindsACurve) {
  // Each channel lightens the picture whichever way it goes: nothing that a line could say.
  LatentState latent = Noise(2, 32, 32, 1);
  Picture picture{32, 32, {}};
  for (size_t i = 0; i < 1024; ++i) {
    const double value = 20 + 100 * std::abs(latent.values[i]) + 80 * std::abs(latent.values[1024 + i]);
    picture.rgb.insert(picture.rgb.end(), 3, static_cast<uint8_t>(value));
  }
  LatentPreview preview(2);
  preview.Learn(latent, picture);
  const Picture shown = preview.Show(latent);
  for (size_t i = 0; i < shown.rgb.size(); ++i) ASSERT_NEAR(shown.rgb[i], picture.rgb[i], 3) << i;
}

TEST(LatentPreview, OneBrokenLatentDoesNotSpoilTheNext) {
  const LinearVae vae;
  LatentPreview preview(4);
  LatentState broken = Noise(4, 8, 8, 1);
  broken.values[5] = std::numeric_limits<float>::quiet_NaN();
  preview.Learn(broken, {64, 64, std::vector<uint8_t>(64 * 64 * 3)});
  for (uint32_t seed = 3; seed < 12; ++seed) preview.Learn(Noise(4, 64, 64, seed), vae.Decode(Noise(4, 64, 64, seed)));
  EXPECT_LE(MeanError(preview, vae, Noise(4, 8, 8, 2)), 1);
}

TEST(LatentPreview, RefusesWhatDoesNotBelongTogether) {
  LatentPreview preview(4);
  const LatentState latent = Noise(4, 2, 3, 1);
  EXPECT_EQ(RefusalOf([&] { preview.Show(Noise(5, 2, 3, 1)); }),
            "no preview of 30 values as a latent of 5 x 2 x 3: it must have 4 channels");
  EXPECT_EQ(RefusalOf([&] {
              preview.Learn(latent, {24, 24, std::vector<uint8_t>(3 * 24 * 24)});
            }),
            "a picture of 24 x 24 pixels is not that of a latent of 4 x 2 x 3");
  EXPECT_NE(RefusalOf([&] { preview.Learn(latent, {24, 16, {}}); }), "");
  EXPECT_EQ(RefusalOf([&] { preview.Learn(latent, {24, 16, std::vector<uint8_t>(3 * 24 * 16)}); }), "");
}

}  // namespace
}  // namespace diptych
