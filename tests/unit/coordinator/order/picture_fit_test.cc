#include "coordinator/order/picture_fit.h"

#include "coordinator/order/wrong_wish.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

// Each pixel says where it was painted.
Picture Numbered(int32_t width, int32_t height) {
  Picture picture{width, height, {}};
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) {
      picture.rgb.insert(picture.rgb.end(), {static_cast<uint8_t>(x + 1), static_cast<uint8_t>(y + 1), 200});
    }
  }
  return picture;
}

std::vector<uint8_t> PixelAt(const Picture& picture, int32_t x, int32_t y) {
  const auto at = picture.rgb.begin() + 3 * (y * picture.width + x);
  return {at, at + 3};
}

std::string RefusalOf(int32_t side, FitMode mode) {
  try {
    PaintedSide(side, mode, "--width");
  } catch (const WrongWish& error) {
    return error.what();
  }
  return "none";
}

TEST(PictureFit, PaintsTheNextSize) {
  EXPECT_EQ(PaintedSide(512, FitMode::kNone, ""), 512);
  EXPECT_EQ(PaintedSide(500, FitMode::kCrop, ""), 512);
  EXPECT_EQ(PaintedSide(500, FitMode::kPad, ""), 496);
  EXPECT_EQ(PaintedSide(7, FitMode::kCrop, ""), 16);
  EXPECT_EQ(PaintedSide(0, FitMode::kCrop, ""), 0);
}

TEST(PictureFit, SaysWhatElseThereIs) {
  EXPECT_EQ(
      RefusalOf(100, FitMode::kNone),
      "--width: 100 must be a multiple of 16; the nearest are 96 and 112, or generate --fit crop|pad makes a file of "
      "this size");
  EXPECT_EQ(RefusalOf(7, FitMode::kPad),
            "--width: 7 must be a multiple of 16; the nearest is 16; --fit crop paints that and crops it");
}

TEST(PictureFit, CropsTheMiddle) {
  const Picture fitted = FitPicture(Numbered(16, 16), {FitMode::kCrop, 10, 16});
  EXPECT_EQ(fitted.width, 10);
  EXPECT_EQ(fitted.height, 16);
  EXPECT_EQ(PixelAt(fitted, 0, 0), (std::vector<uint8_t>{4, 1, 200}));
  EXPECT_EQ(PixelAt(fitted, 9, 15), (std::vector<uint8_t>{13, 16, 200}));
}

TEST(PictureFit, PadsBlackAround) {
  const Picture fitted = FitPicture(Numbered(16, 16), {FitMode::kPad, 20, 19});
  EXPECT_EQ(fitted.rgb.size(), 3u * 20 * 19);
  EXPECT_EQ(PixelAt(fitted, 1, 1), (std::vector<uint8_t>{0, 0, 0}));
  EXPECT_EQ(PixelAt(fitted, 2, 1), (std::vector<uint8_t>{1, 1, 200}));
  EXPECT_EQ(PixelAt(fitted, 17, 16), (std::vector<uint8_t>{16, 16, 200}));
  EXPECT_EQ(PixelAt(fitted, 18, 16), (std::vector<uint8_t>{0, 0, 0}));
}

TEST(PictureFit, IsWrittenDown) {
  const PictureFit fit{FitMode::kPad, 500, 300};
  EXPECT_EQ(FindFit({{"diptych", "{}"}, {kFitKeyword, FitJson(fit)}}), fit);
  EXPECT_EQ(FindFit({}), std::nullopt);
  for (const char* damaged : {"", "[]", "{\"fit\": \"crop\"}", "{\"fit\": \"none\", \"width\": 1, \"height\": 1}",
                              "{\"fit\": \"crop\", \"width\": -1, \"height\": 1}",
                              "{\"fit\": \"crop\", \"width\": 99999999999, \"height\": 1}"}) {
    EXPECT_EQ(FindFit({{kFitKeyword, damaged}}), std::nullopt) << damaged;
  }
}

}  // namespace
}  // namespace diptych
