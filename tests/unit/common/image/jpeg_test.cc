#include "common/image/jpeg.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

// libjpeg's header needs size_t and FILE from above.
#include <jpeglib.h>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

Picture Smooth(int32_t width, int32_t height) {
  Picture picture{width, height, {}};
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) {
      for (const int32_t value : {255 * x / width, 255 * y / height, 128}) {
        picture.rgb.push_back(static_cast<uint8_t>(value));
      }
    }
  }
  return picture;
}

// libjpeg's default handler ends the process on an error, which is what a test may do.
Picture Decode(const std::vector<uint8_t>& bytes) {
  jpeg_decompress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, bytes.data(), bytes.size());
  jpeg_read_header(&jpeg, TRUE);
  jpeg_start_decompress(&jpeg);
  Picture picture{static_cast<int32_t>(jpeg.output_width), static_cast<int32_t>(jpeg.output_height), {}};
  EXPECT_EQ(jpeg.output_components, 3);
  picture.rgb.resize(size_t{3} * jpeg.output_width * jpeg.output_height);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPLE* row = picture.rgb.data() + size_t{3} * jpeg.output_width * jpeg.output_scanline;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  EXPECT_EQ(errors.num_warnings, 0);
  jpeg_destroy_decompress(&jpeg);
  return picture;
}

int WorstDifference(const Picture& a, const Picture& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  if (a.rgb.size() != b.rgb.size()) return 256;
  int worst = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) worst = std::max(worst, std::abs(a.rgb[i] - b.rgb[i]));
  return worst;
}

ErrorCode CodeOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInternal;
}

TEST(EncodeJpeg, DecodesToNearlyTheSamePicture) {
  for (const auto& [width, height] : {std::pair{64, 48}, {1, 1}, {17, 3}, {128, 128}, {1024, 768}}) {
    const Picture picture = Smooth(width, height);
    EXPECT_LE(WorstDifference(picture, Decode(EncodeJpeg(picture, 95))), 8) << width << "x" << height;
  }
}

TEST(EncodeJpeg, KeepsTheColourOfEveryPixel) {
  Picture stripes{16, 16, {}};  // red and blue in turn: halved colours would all be purple
  for (int i = 0; i < 256; ++i) {
    for (const int value : {i % 2 == 0 ? 230 : 20, 20, i % 2 == 0 ? 20 : 230}) {
      stripes.rgb.push_back(static_cast<uint8_t>(value));
    }
  }
  EXPECT_LE(WorstDifference(stripes, Decode(EncodeJpeg(stripes, 95))), 30);
}

TEST(EncodeJpeg, GivesTheSameBytesAgainAndFewerForLessQuality) {
  const Picture picture = Smooth(128, 128);
  EXPECT_EQ(EncodeJpeg(picture, 80), EncodeJpeg(picture, 80));
  EXPECT_LT(EncodeJpeg(picture, 30).size(), EncodeJpeg(picture, 95).size());
}

TEST(EncodeJpeg, RefusesWhatIsNoPictureOrNoQuality) {
  Picture picture = Smooth(8, 8);
  EXPECT_EQ(CodeOf([&] { EncodeJpeg(picture, 0); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { EncodeJpeg(picture, 101); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { EncodeJpeg({}, 80); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { EncodeJpeg({65501, 1, {}}, 80); }), ErrorCode::kInvalidArgument);
  picture.rgb.pop_back();
  EXPECT_EQ(CodeOf([&] { EncodeJpeg(picture, 80); }), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace diptych
