#include "common/picture/prepare_source.h"

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "common/image/resize.h"
#include "gtest/gtest.h"
#include "tests/support/cpu_time.h"

namespace diptych {
namespace {

std::vector<uint8_t> Noise(size_t count, uint64_t state) {
  std::vector<uint8_t> values(count);
  for (uint8_t& value : values) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    value = static_cast<uint8_t>(state >> 56);
  }
  return values;
}

size_t Count(int32_t width, int32_t height) { return static_cast<size_t>(width) * static_cast<size_t>(height); }

Picture NoisePicture(int32_t width, int32_t height) { return {width, height, Noise(3 * Count(width, height), 1)}; }

DecodedPicture Source(int32_t width, int32_t height) { return {NoisePicture(width, height), std::nullopt}; }

Picture Flat(int32_t width, int32_t height, uint8_t value) {
  return {width, height, std::vector<uint8_t>(3 * Count(width, height), value)};
}

GreyPicture FlatMask(int32_t width, int32_t height, uint8_t value) {
  return {width, height, std::vector<uint8_t>(Count(width, height), value)};
}

struct Area {
  int32_t left, top, right, bottom;
  bool Holds(int32_t x, int32_t y) const { return x >= left && x < right && y >= top && y < bottom; }
};

GreyPicture MaskOf(int32_t width, int32_t height, const Area& area, uint8_t value = 255) {
  GreyPicture mask = FlatMask(width, height, 0);
  for (int32_t y = area.top; y < area.bottom; ++y) {
    std::fill_n(mask.grey.begin() + y * width + area.left, area.right - area.left, value);
  }
  return mask;
}

std::vector<uint8_t> At(const Picture& picture, int32_t x, int32_t y) {
  const auto at = picture.rgb.begin() + 3 * (static_cast<int64_t>(y) * picture.width + x);
  return {at, at + 3};
}
int At(const GreyPicture& picture, int32_t x, int32_t y) {
  return picture.grey[static_cast<size_t>(y) * static_cast<size_t>(picture.width) + static_cast<size_t>(x)];
}

std::string RefusalOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

uint64_t Fingerprint(const std::vector<uint8_t>& bytes) {  // FNV-1a
  uint64_t hash = 14695981039346656037U;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 1099511628211U;
  return hash;
}

TEST(PrepareSource, StretchesAsTheReferenceDoes) {
  const DecodedPicture source = Source(90, 40);
  const GreyPicture mask{90, 40, Noise(Count(90, 40), 2)};
  const PreparedSource prepared = PrepareSource(source, &mask, {.width = 64, .height = 48});
  EXPECT_EQ(prepared.picture.rgb, Resize(source.picture, 64, 48).rgb);
  ASSERT_TRUE(prepared.mask);
  EXPECT_EQ(prepared.mask->grey, Resize(mask, 64, 48).grey);
  EXPECT_FALSE(prepared.inset);
  EXPECT_EQ(PasteBack(prepared, Flat(64, 48, 9)).rgb, Flat(64, 48, 9).rgb);
  EXPECT_FALSE(PrepareSource(source, nullptr, {.width = 64, .height = 48}).mask);
}

TEST(PrepareSource, CropsTheMiddle) {
  // Ten columns of each grey: of 100x40 to a square the 40 in the middle stay, of 40x100 the rows.
  Picture wide = Flat(100, 40, 0), high = Flat(40, 100, 0);
  for (int32_t y = 0; y < 40; ++y) {
    for (int32_t x = 0; x < 100; ++x) {
      for (int32_t c = 0; c < 3; ++c) {
        wide.rgb[static_cast<size_t>(3 * (y * 100 + x) + c)] = static_cast<uint8_t>(x);
        high.rgb[static_cast<size_t>(3 * (x * 40 + y) + c)] = static_cast<uint8_t>(x);
      }
    }
  }
  const SourcePlan plan{.width = 40, .height = 40, .fit = SourceFit::kCrop};
  const Picture from_wide = PrepareSource({wide, {}}, nullptr, plan).picture;
  const Picture from_high = PrepareSource({high, {}}, nullptr, plan).picture;
  for (int32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(At(from_wide, i, 7)[0], 30 + i);
    EXPECT_EQ(At(from_high, 7, i)[0], 30 + i);
  }
  const GreyPicture mask = MaskOf(100, 40, {50, 0, 100, 40});
  const GreyPicture fitted = *PrepareSource({wide, {}}, &mask, plan).mask;
  EXPECT_EQ(At(fitted, 19, 20), 0);
  EXPECT_EQ(At(fitted, 20, 20), 255);
}

TEST(PrepareSource, PadsWithTheEdgeAndRepaintsThatOnlyWithAMask) {
  const DecodedPicture source = Source(64, 32);
  const SourcePlan plan{.width = 64, .height = 64, .fit = SourceFit::kPad};
  const PreparedSource plain = PrepareSource(source, nullptr, plan);
  EXPECT_FALSE(plain.mask);
  for (int32_t x = 0; x < 64; ++x) {
    for (int32_t y = 0; y < 32; ++y) ASSERT_EQ(At(plain.picture, x, y + 16), At(source.picture, x, y));
    EXPECT_EQ(At(plain.picture, x, 15), At(source.picture, x, 0));  // next to it: the edge itself
    EXPECT_EQ(At(plain.picture, x, 48), At(source.picture, x, 31));
  }
  const GreyPicture mask = MaskOf(64, 32, {10, 15, 20, 17});
  const GreyPicture all = *PrepareSource(source, &mask, plan).mask;
  for (int32_t y = 0; y < 64; ++y) {
    const bool outside = y < 16 + kRepaintedBorder || y >= 48 - kRepaintedBorder;
    EXPECT_EQ(At(all, 40, y), outside ? 255 : 0) << y;
    EXPECT_EQ(At(all, 12, y), outside || y == 31 || y == 32 ? 255 : 0) << y;
  }
}

TEST(PrepareSource, FillsExtendedSidesSmoothlyAndRepaintsThem) {
  const DecodedPicture source = Source(64, 48);
  const SourcePlan plan{.width = 160, .height = 112, .extend = {.left = 40, .top = 24, .right = 56, .bottom = 40}};
  const PreparedSource prepared = PrepareSource(source, nullptr, plan);
  const Area inner{40, 24, 104, 72}, kept{48, 32, 96, 64};
  ASSERT_TRUE(prepared.mask);
  const auto [low, high] = std::minmax_element(source.picture.rgb.begin(), source.picture.rgb.end());
  for (int32_t y = 0; y < 112; ++y) {
    for (int32_t x = 0; x < 160; ++x) {
      ASSERT_EQ(At(*prepared.mask, x, y), kept.Holds(x, y) ? 0 : 255) << x << ' ' << y;
      if (inner.Holds(x, y)) {
        ASSERT_EQ(At(prepared.picture, x, y), At(source.picture, x - 40, y - 24));
      }
      for (const uint8_t value : At(prepared.picture, x, y)) ASSERT_TRUE(value >= *low && value <= *high);
    }
  }
  // Neighbours differ by the edge's noise next to it, and by little far away.
  const auto roughness = [&](int32_t x) {
    int sum = 0;
    for (int32_t y = 25; y < 71; ++y)
      sum += std::abs(At(prepared.picture, x, y)[0] - At(prepared.picture, x, y - 1)[0]);
    return sum / 46;
  };
  EXPECT_GT(roughness(39), 50);
  EXPECT_LT(roughness(0), 12);
  EXPECT_LT(roughness(159), 12);
}

TEST(PrepareSource, ExtendsTheSidesItIsToldAndTakesTheBrighterOfTwoMasks) {
  const DecodedPicture source = Source(64, 64);
  const GreyPicture mask = MaskOf(64, 64, {50, 20, 60, 30}, 200);
  const PreparedSource prepared = PrepareSource(
      source, &mask, {.width = 96, .height = 64, .extend = {.left = 0, .top = 0, .right = 32, .bottom = 0}});
  for (int32_t y = 0; y < 64; ++y) {
    EXPECT_EQ(At(*prepared.mask, 0, y), 0);
    EXPECT_EQ(At(*prepared.mask, 55, y), y >= 20 && y < 30 ? 200 : 0);
    EXPECT_EQ(At(*prepared.mask, 56, y), 255);  // also where the given mask has 200
    EXPECT_EQ(At(*prepared.mask, 95, y), 255);
  }
  // A black mask is no error where sides are extended; a source of a few pixels keeps its middle.
  const GreyPicture black = FlatMask(4, 4, 0);
  const PreparedSource tiny = PrepareSource(
      Source(4, 4), &black, {.width = 12, .height = 4, .extend = {.left = 4, .top = 0, .right = 4, .bottom = 0}});
  EXPECT_EQ(tiny.mask->grey[3], 255);
  EXPECT_EQ(tiny.mask->grey[5], 0);
  EXPECT_EQ(tiny.mask->grey[6], 0);
  EXPECT_EQ(tiny.mask->grey[8], 255);
}

TEST(PrepareSource, ExtendsWhatWasPadded) {
  const PreparedSource prepared = PrepareSource(
      Source(40, 20), nullptr,
      {.width = 100, .height = 80, .fit = SourceFit::kPad, .extend = {.left = 20, .top = 0, .right = 0, .bottom = 0}});
  // 80x40 in the middle of what is right of 20.
  const Area kept{28, 28, 100, 52};
  for (int32_t y = 0; y < 80; ++y) {
    for (int32_t x = 0; x < 100; ++x) ASSERT_EQ(At(*prepared.mask, x, y), kept.Holds(x, y) ? 0 : 255) << x << ' ' << y;
  }
}

TEST(PrepareSource, RepaintsWhatIsTransparent) {
  DecodedPicture source = Source(32, 32);
  const SourcePlan plan{.width = 32, .height = 32, .mask_from_alpha = true};
  EXPECT_NE(RefusalOf([&] { PrepareSource(source, nullptr, plan); }).find("has none"), std::string::npos);
  source.alpha = FlatMask(32, 32, 255);
  EXPECT_NE(RefusalOf([&] { PrepareSource(source, nullptr, plan); }).find("transparent parts"), std::string::npos);
  source.alpha = MaskOf(32, 32, {0, 0, 16, 32}, 250);
  const PreparedSource prepared = PrepareSource(source, nullptr, plan);
  EXPECT_EQ(At(*prepared.mask, 3, 3), 5);
  EXPECT_EQ(At(*prepared.mask, 30, 3), 255);
  const GreyPicture mask = FlatMask(32, 32, 255);
  EXPECT_NE(RefusalOf([&] { PrepareSource(source, &mask, plan); }).find("one of them is right"), std::string::npos);
}

TEST(PrepareSource, PaintsAPartAroundTheMaskInTheShapeAsked) {
  const DecodedPicture source = Source(400, 300);
  const GreyPicture mask = MaskOf(400, 300, {100, 100, 140, 120});
  const SourcePlan plan{.width = 128, .height = 96, .inpaint_crop = 20};
  const PreparedSource prepared = PrepareSource(source, &mask, plan);
  ASSERT_TRUE(prepared.inset);
  // 80x60 with 20 px around are of the shape already.
  EXPECT_EQ(prepared.inset->left, 80);
  EXPECT_EQ(prepared.inset->top, 80);
  EXPECT_EQ(prepared.inset->share.width, 80);
  EXPECT_EQ(prepared.inset->share.height, 60);
  Picture part{80, 60, {}};
  for (int32_t y = 80; y < 140; ++y) {
    const auto row = source.picture.rgb.begin() + 3 * (y * 400 + 80);
    part.rgb.insert(part.rgb.end(), row, row + 240);
  }
  EXPECT_EQ(prepared.picture.rgb, Resize(part, 128, 96).rgb);
  EXPECT_EQ(prepared.mask->width, 128);

  const auto box = [&](int32_t width, int32_t height, int32_t more, const Area& area) {
    const GreyPicture at = MaskOf(400, 300, area);
    const SourceInset inset =
        *PrepareSource(source, &at, {.width = width, .height = height, .inpaint_crop = more}).inset;
    return std::vector<int32_t>{inset.left, inset.top, inset.share.width, inset.share.height};
  };
  using Numbers = std::vector<int32_t>;
  EXPECT_EQ(box(64, 64, 0, {100, 100, 140, 120}), (Numbers{100, 90, 40, 40}));    // higher, for a square
  EXPECT_EQ(box(128, 64, 0, {100, 100, 110, 140}), (Numbers{65, 100, 80, 40}));   // wider
  EXPECT_EQ(box(64, 64, 10, {0, 0, 20, 20}), (Numbers{0, 0, 30, 30}));            // in the corner
  EXPECT_EQ(box(64, 64, 10, {380, 270, 400, 300}), (Numbers{360, 260, 40, 40}));  // moved back into the source
  EXPECT_EQ(box(64, 64, 0, {0, 100, 400, 110}), (Numbers{0, 0, 400, 300}));       // no square fits
  EXPECT_EQ(box(64, 64, 2147483647, {5, 5, 45, 45}), (Numbers{0, 0, 400, 300}));
}

TEST(PasteBack, LeavesWhatIsNotMaskedToTheByteAndComesInOverAFewPixels) {
  const DecodedPicture source = Source(400, 300);
  const Area area{100, 100, 160, 140};
  const GreyPicture mask = MaskOf(400, 300, area);
  const PreparedSource prepared = PrepareSource(source, &mask, {.width = 128, .height = 96, .inpaint_crop = 8});
  const Picture back = PasteBack(prepared, Flat(128, 96, 200));
  ASSERT_EQ(back.width, 400);
  ASSERT_EQ(back.height, 300);
  for (int32_t y = 0; y < 300; ++y) {
    for (int32_t x = 0; x < 400; ++x) {
      if (!area.Holds(x, y)) {
        ASSERT_EQ(At(back, x, y), At(source.picture, x, y)) << x << ' ' << y;
      }
      const Area middle{area.left + 3, area.top + 3, area.right - 3, area.bottom - 3};
      if (middle.Holds(x, y)) {
        ASSERT_EQ(At(back, x, y), (std::vector<uint8_t>{200, 200, 200})) << x << ' ' << y;
      }
    }
  }
  const GreyPicture& share = prepared.inset->share;
  std::vector<int> ramp;
  for (int32_t x = 0; x < 5; ++x) ramp.push_back(At(share, x + area.left - 1 - prepared.inset->left, 30));
  EXPECT_EQ(ramp, (std::vector<int>{0, 63, 127, 191, 255}));
}

TEST(PasteBack, HasNoSeamAtTheBorderOfTheSourceAndGoesNoFartherThanASoftMask) {
  const DecodedPicture source = Source(64, 64);
  const GreyPicture corner = MaskOf(64, 64, {0, 0, 20, 20});
  const PreparedSource prepared = PrepareSource(source, &corner, {.width = 64, .height = 64, .inpaint_crop = 4});
  EXPECT_EQ(At(prepared.inset->share, 0, 0), 255);
  EXPECT_EQ(At(prepared.inset->share, 19, 0), 63);
  GreyPicture soft = MaskOf(64, 64, {10, 10, 50, 50}, 90);
  for (int32_t y = 20; y < 40; ++y) std::fill_n(soft.grey.begin() + y * 64 + 20, 20, 255);
  const PreparedSource softly = PrepareSource(source, &soft, {.width = 64, .height = 64, .inpaint_crop = 4});
  const auto at = [&](int32_t x, int32_t y) {
    return At(softly.inset->share, x - softly.inset->left, y - softly.inset->top);
  };
  EXPECT_EQ(at(15, 30), 90);
  EXPECT_EQ(at(10, 30), 63);
  EXPECT_EQ(at(30, 30), 255);
}

TEST(PasteBack, RefusesAPictureOfAnotherSize) {
  const PreparedSource prepared = PrepareSource(Source(32, 32), nullptr, {.width = 64, .height = 48});
  EXPECT_EQ(RefusalOf([&] { PasteBack(prepared, Flat(48, 64, 1)); }),
            "a picture of 48x64 px cannot be laid back where 64x48 px were taken from");
}

TEST(PrepareSource, SaysWhatIsWrong) {
  const DecodedPicture source = Source(40, 30);
  const GreyPicture white = FlatMask(40, 30, 255), black = FlatMask(40, 30, 0), dark = FlatMask(40, 30, 127);
  const GreyPicture other = FlatMask(30, 40, 255);
  const auto refusal = [&](const GreyPicture* mask, const SourcePlan& plan) {
    return RefusalOf([&] { PrepareSource(source, mask, plan); });
  };
  EXPECT_EQ(refusal(&other, {.width = 64, .height = 64}),
            "the mask has 30x40 px and its source 40x30 px; they must have the same size");
  for (const GreyPicture* mask : {&black, &dark}) {
    EXPECT_EQ(refusal(mask, {.width = 64, .height = 48}).find("the mask leaves nothing to repaint at 64x48 px"), 0U);
    EXPECT_NE(refusal(mask, {.width = 64, .height = 64, .inpaint_crop = 3}).find("nothing to repaint"),
              std::string::npos);
  }
  EXPECT_NE(refusal(nullptr, {.width = 64, .height = 64, .inpaint_crop = 3}).find("there is no mask"),
            std::string::npos);
  EXPECT_NE(refusal(&white, {.width = 64, .height = 64, .inpaint_crop = -1}).find("-1 px"), std::string::npos);
  EXPECT_NE(
      refusal(&white,
              {.width = 64, .height = 64, .extend = {.left = 8, .top = 0, .right = 0, .bottom = 0}, .inpaint_crop = 3})
          .find("but not both"),
      std::string::npos);
  constexpr int32_t kMost = 2147483647;
  for (const Extend& extend : {Extend{64, 0, 0, 0}, Extend{0, 0, kMost, 0}, Extend{kMost, kMost, kMost, kMost}}) {
    EXPECT_NE(refusal(nullptr, {.width = 64, .height = 64, .extend = extend}).find("no room for its source"),
              std::string::npos);
  }
  EXPECT_NE(refusal(nullptr, {.width = 64, .height = 64, .extend = {0, -2147483647 - 1, 0, 0}}).find("-2147483648 px"),
            std::string::npos);
  for (const auto& [width, height] : {std::pair(0, 64), {64, -5}, {16385, 1}, {16384, 16384}, {kMost, kMost}}) {
    EXPECT_NE(refusal(nullptr, {.width = width, .height = height}).find(std::to_string(width) + "x"),
              std::string::npos);
  }
  const DecodedPicture broken{{40, 30, {1, 2}}, std::nullopt};
  EXPECT_EQ(RefusalOf([&] { PrepareSource(broken, nullptr, {.width = 64, .height = 64}); }),
            "the source of 40x30 px must have 3600 bytes, not 2");
}

// Our own values, kept so that a change shows: not a reference's.
TEST(PrepareSource, GivesTheSameBytesEverywhere) {
  const GreyPicture mask = MaskOf(170, 110, {60, 30, 110, 77}, 230);
  const PreparedSource extended = PrepareSource(
      Source(170, 110), &mask, {.width = 208, .height = 144, .fit = SourceFit::kPad, .extend = {16, 0, 33, 24}});
  EXPECT_EQ(Fingerprint(extended.picture.rgb), 9124891766156345912U);
  EXPECT_EQ(Fingerprint(extended.mask->grey), 13365500204395427545U);
  const PreparedSource inset = PrepareSource(Source(170, 110), &mask, {.width = 96, .height = 64, .inpaint_crop = 7});
  EXPECT_EQ(Fingerprint(PasteBack(inset, NoisePicture(96, 64)).rgb), 13933580187034701446U);
}

TEST(PrepareSource, LetsSomebodyLookAndTakesSecondsForALargeSource) {
  const DecodedPicture source{Flat(4000, 4000, 60), std::nullopt};
  const GreyPicture mask = MaskOf(4000, 4000, {100, 100, 3900, 3900});
  for (const SourcePlan& plan :
       {SourcePlan{.width = 1024, .height = 1024, .inpaint_crop = 50},
        SourcePlan{.width = 3500, .height = 4500, .fit = SourceFit::kPad, .extend = {500, 0, 500, 0}}}) {
    const CpuTimer timer;
    int looks = 0;
    const PreparedSource prepared = PrepareSource(source, &mask, plan, [&looks] { ++looks; });
    PasteBack(prepared, Flat(plan.width, plan.height, 1), [&looks] { ++looks; });
    std::cout << plan.width << "x" << plan.height << ": " << timer.Seconds() << " s, " << looks << " looks\n";
    EXPECT_LT(timer.Seconds(), 20 * kTimeAllowance);
    EXPECT_GT(looks, 500);
  }
}

}  // namespace
}  // namespace diptych
