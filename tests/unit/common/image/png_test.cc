#include "common/image/png.h"

#include <png.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

Picture Gradient(int32_t width, int32_t height) {
  Picture picture{width, height, {}};
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) {
      for (const int32_t value : {x * 7 + y, y * 5, x ^ y}) picture.rgb.push_back(static_cast<uint8_t>(value));
    }
  }
  return picture;
}

ErrorCode CodeOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInternal;
}

// A PNG of another format, written by libpng with its defaults.
std::string Foreign(int width, int height, int depth, int colour, int interlace, const std::vector<uint8_t>& rows,
                    const std::function<void(png_structp, png_infop)>& more = {}) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep bytes, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(bytes), size);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth, colour, interlace,
               0, 0);
  if (more) more(png, info);
  png_write_info(png, info);
  const size_t row_bytes = rows.size() / static_cast<size_t>(height);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y)
    pointers.push_back(const_cast<png_bytep>(rows.data()) + row_bytes * static_cast<size_t>(y));
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

TEST(EncodePng, LetsSomebodyLookWhileItWritesAndEndsWhenTheyLeave) {
  int looks = 0;
  const Pause count = [&looks] { ++looks; };
  const std::string png = EncodePng(Gradient(8, 640), {}, count);
  EXPECT_EQ(looks, 10);
  EXPECT_EQ(png, EncodePng(Gradient(8, 640), {}));
  looks = 0;
  EXPECT_EQ(CodeOf([&] {
              EncodePng(Gradient(8, 640), {}, [&looks] {
                if (++looks == 3) throw Error(ErrorCode::kCancelled, "cancelled");
              });
            }),
            ErrorCode::kCancelled);
  EXPECT_EQ(looks, 3);
}

TEST(Png, GivesBackPixelsAndText) {
  const Picture picture = Gradient(37, 21);
  const PngText text = {{"diptych", "{\"a\": 1}"},
                        {"parameters",
                         "Gr\xc3\xbc\xc3\x9f"
                         "e \xe5\x8f\xa5\nSteps: 9"},
                        {"empty", ""}};
  const PngFile file = DecodePng(EncodePng(picture, text));
  EXPECT_EQ(file.picture.width, 37);
  EXPECT_EQ(file.picture.height, 21);
  EXPECT_EQ(file.picture.rgb, picture.rgb);
  EXPECT_EQ(file.text, text);
}

TEST(Png, EqualInputGivesEqualBytes) {
  const PngText text = {{"diptych", "x"}};
  EXPECT_EQ(EncodePng(Gradient(64, 64), text), EncodePng(Gradient(64, 64), text));
}

TEST(Png, CarriesNothingThatWasNotAskedFor) {
  const std::string bytes = EncodePng(Gradient(8, 8), {});
  // Signature, IHDR, IDAT, IEND.
  EXPECT_EQ(bytes.find("tIME"), std::string::npos);
  EXPECT_EQ(bytes.find("IDAT"), 37u);
  EXPECT_EQ(bytes.find("IEND"), bytes.size() - 8);
}

TEST(Png, ReadsTextWithoutThePixels) {
  std::string bytes = EncodePng(Gradient(64, 64), {{"diptych", "receipt"}});
  bytes.resize(bytes.find("IDAT") + 40);
  EXPECT_EQ(ReadPngText(bytes), (PngText{{"diptych", "receipt"}}));
  EXPECT_EQ(CodeOf([&] { DecodePng(bytes); }), ErrorCode::kDataLoss);
}

TEST(Png, TurnsEveryFormatIntoRgb) {
  const std::vector<uint8_t> grey = {0, 128, 255, 7};
  EXPECT_EQ(DecodePng(Foreign(2, 2, 8, PNG_COLOR_TYPE_GRAY, 0, grey)).picture.rgb,
            (std::vector<uint8_t>{0, 0, 0, 128, 128, 128, 255, 255, 255, 7, 7, 7}));
  EXPECT_EQ(DecodePng(Foreign(2, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, 0, {1, 2, 3, 0, 4, 5, 6, 255})).picture.rgb,
            (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(DecodePng(Foreign(1, 1, 16, PNG_COLOR_TYPE_RGB, 0, {0x80, 0x80, 0, 0, 0xff, 0xff})).picture.rgb,
            (std::vector<uint8_t>{128, 0, 255}));
  EXPECT_EQ(DecodePng(Foreign(8, 1, 1, PNG_COLOR_TYPE_GRAY, 0, {0xa0})).picture.rgb.size(), 24u);
  const auto palette = [](png_structp png, png_infop info) {
    static constexpr png_color kColours[] = {{10, 20, 30}, {40, 50, 60}};
    png_set_PLTE(png, info, kColours, 2);
  };
  EXPECT_EQ(DecodePng(Foreign(2, 1, 8, PNG_COLOR_TYPE_PALETTE, 0, {1, 0}, palette)).picture.rgb,
            (std::vector<uint8_t>{40, 50, 60, 10, 20, 30}));
}

TEST(Png, ReadsInterlacedPictures) {
  const Picture picture = Gradient(19, 11);
  EXPECT_EQ(DecodePng(Foreign(19, 11, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, picture.rgb)).picture.rgb,
            picture.rgb);
}

TEST(Png, ReadsLatin1TextAsUtf8) {
  const std::string bytes = Foreign(1, 1, 8, PNG_COLOR_TYPE_GRAY, 0, {0}, [](png_structp png, png_infop info) {
    png_text text = {};
    text.compression = PNG_TEXT_COMPRESSION_zTXt;
    text.key = const_cast<char*>("Comment");
    text.text = const_cast<char*>("\xe9t\xe9");
    png_set_text(png, info, &text, 1);
  });
  EXPECT_EQ(ReadPngText(bytes), (PngText{{"Comment", "\xc3\xa9t\xc3\xa9"}}));
}

TEST(Png, RefusesBytesThatAreNotAWholePng) {
  EXPECT_EQ(CodeOf([] { DecodePng(""); }), ErrorCode::kDataLoss);
  EXPECT_EQ(CodeOf([] { DecodePng("GIF89a, certainly not a PNG"); }), ErrorCode::kDataLoss);
  const std::string bytes = EncodePng(Gradient(40, 40), {{"diptych", "x"}});
  for (const size_t size : {size_t{8}, size_t{20}, size_t{50}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_EQ(CodeOf([&] { DecodePng(std::string_view(bytes).substr(0, size)); }), ErrorCode::kDataLoss) << size;
  }
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
  EXPECT_EQ(CodeOf([&] { DecodePng(flipped); }), ErrorCode::kDataLoss);
}

TEST(Png, RefusesPicturesBeyondTheLimits) {
  const std::string bytes = EncodePng(Gradient(40, 30), {});
  EXPECT_EQ(CodeOf([&] { DecodePng(bytes, {.max_side = 39}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { DecodePng(bytes, {.max_pixels = 1199}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(DecodePng(bytes, {.max_side = 40, .max_pixels = 1200}).picture.width, 40);
}

// A receipt is read without decoding anything, so what is too large to decode can still be repeated.
TEST(Png, ReadsTheTextOfAPictureBeyondTheLimits) {
  const PngText text = {{"diptych", "receipt"}};
  const std::string bytes = EncodePng(Gradient(40, 30), text);
  EXPECT_EQ(ReadPngText(bytes, {.max_side = 39, .max_pixels = 1199}), text);
  EXPECT_EQ(CodeOf([&] { DecodePng(bytes, {.max_side = 39}); }), ErrorCode::kInvalidArgument);
}

TEST(Png, AllocatesNoPixelsThatTheFileCannotHold) {
  // An honest head for 8000x8000 px, and no pixels.
  const std::string whole = Foreign(8000, 8000, 8, PNG_COLOR_TYPE_GRAY, 0, std::vector<uint8_t>(64'000'000));
  EXPECT_EQ(CodeOf([&] { DecodePng(std::string_view(whole).substr(0, whole.find("IDAT") + 100)); }),
            ErrorCode::kDataLoss);
  EXPECT_EQ(DecodePng(whole).picture.rgb.size(), 192'000'000u);
}

TEST(Png, RefusesAChunkThatSaysItIsLongerThanTheFile) {
  std::string bytes = EncodePng(Gradient(8, 8), {{"diptych", "x"}});
  bytes[bytes.find("tEXt") - 4] = 0x70;  // 1.9 GB
  EXPECT_EQ(CodeOf([&] { ReadPngText(bytes); }), ErrorCode::kDataLoss);
}

TEST(Png, DropsTextBeyondTheLimit) {
  const std::string bytes = Foreign(1, 1, 8, PNG_COLOR_TYPE_GRAY, 0, {0}, [](png_structp png, png_infop info) {
    static std::string bomb(1 << 20, 'a');
    png_text text = {};
    text.compression = PNG_TEXT_COMPRESSION_zTXt;
    text.key = const_cast<char*>("bomb");
    text.text = bomb.data();
    png_set_text(png, info, &text, 1);
  });
  EXPECT_LT(bytes.size(), 10000u);
  for (const auto& [keyword, text] : ReadPngText(bytes, {.max_text_bytes = 100'000})) EXPECT_LT(text.size(), 100'000u);
  EXPECT_EQ(ReadPngText(bytes).at(0).second.size(), size_t{1} << 20);
}

TEST(Png, RefusesToEncodeWhatIsNotAPicture) {
  EXPECT_EQ(CodeOf([] { EncodePng({0, 1, {}}, {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { EncodePng({2, 2, {1, 2, 3}}, {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf([] { EncodePng({20000, 1, std::vector<uint8_t>(60000)}, {}); }), ErrorCode::kInvalidArgument);
}

TEST(Png, RefusesTextThatAPngCannotHold) {
  const Picture picture = Gradient(2, 2);
  for (const std::string& keyword : {std::string(), std::string(80, 'a'), std::string("a\nb"), std::string(" a")}) {
    EXPECT_EQ(CodeOf([&] { EncodePng(picture, {{keyword, "x"}}); }), ErrorCode::kInvalidArgument) << keyword;
  }
  EXPECT_EQ(CodeOf([&] { EncodePng(picture, {{"a", std::string("x\0y", 3)}}); }), ErrorCode::kInvalidArgument);
}

TEST(Png, EncodesAMegapixelFarBelowAStepOfTheDit) {
  const Picture picture = Gradient(1024, 1024);
  const auto start = std::chrono::steady_clock::now();
  const std::string bytes = EncodePng(picture, {});
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  RecordProperty("ms", std::to_string(took.count()));
  std::cout << took.count() << " ms, " << bytes.size() << " bytes\n";
  EXPECT_LT(took.count(), 5000);  // generous: sanitizers and busy machines
}

}  // namespace
}  // namespace diptych
