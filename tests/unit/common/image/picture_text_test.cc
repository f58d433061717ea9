// Texts in pictures: wherever other programs put them, and in every format.
#include <png.h>
#include <webp/decode.h>
#include <zlib.h>

#include <functional>
#include <string>

#include "common/error/error.h"
#include "common/image/exif.h"
#include "common/image/picture_file.h"
#include "common/image/png.h"
#include "common/image/webp.h"
#include "gtest/gtest.h"
#include "tests/support/child_cost.h"

namespace diptych {
namespace {

Picture Gradient(int32_t width, int32_t height) {
  Picture picture{width, height, {}};
  for (int32_t i = 0; i < width * height * 3; ++i)
    picture.rgb.push_back(static_cast<uint8_t>(i / 3 % width * 255 / width));
  return picture;
}

const PictureText kTexts = {{"diptych", "{\"prompt\": \"\xe5\x8f\xa5 \\u0000\"}"},
                            {"diptych_output", "{}"},
                            {"parameters", "\xf0\x9f\x9a\x80 gr\xc3\xbc\xc3\x9f\nSteps: 9"}};

std::string Chunk(const std::string& name, const std::string& data) {
  const auto number = [](uint32_t value) {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
    return out;
  };
  const std::string body = name + data;
  const auto sum =
      static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  return number(static_cast<uint32_t>(data.size())) + body + number(sum);
}

std::string Deflated(const std::string& text) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  out.resize(size);
  return out;
}

std::string WithChunk(std::string png, const std::string& chunk, const std::string& before) {
  return png.insert(png.find(before) - 4, chunk);
}

const std::string kNul(1, '\0');

TEST(PngText, IsFoundWhereverAnotherProgramPutIt) {
  const std::string plain = EncodePng(Gradient(8, 8), {});
  const PngText wanted = {{"diptych", "receipt"}};
  const std::string compressed = Deflated("receipt");
  for (const std::string& chunk :
       {Chunk("tEXt", "diptych" + kNul + "receipt"), Chunk("zTXt", "diptych" + kNul + kNul + compressed),
        Chunk("iTXt", "diptych" + kNul + kNul + kNul + "en" + kNul + "diptych" + kNul + "receipt"),
        Chunk("iTXt", "diptych" + kNul + "\1" + kNul + kNul + kNul + compressed)}) {
    for (const char* before : {"IDAT", "IEND"}) {
      EXPECT_EQ(ReadPngText(WithChunk(plain, chunk, before)), wanted) << before;
      EXPECT_EQ(DecodePng(WithChunk(plain, chunk, before)).text, wanted) << before;
    }
  }
}

TEST(PngText, IsReadBesideChunksOfAnySizeAndKind) {
  std::string png = EncodePng(Gradient(8, 8), {{"diptych", "receipt"}});
  png = WithChunk(png, Chunk("caBX", std::string(9 << 20, 'x')), "tEXt");
  png = WithChunk(png, Chunk("iCCP", "broken"), "tEXt");
  png = WithChunk(png, Chunk("tEXt", "huge" + kNul + std::string(9 << 20, 'x')), "IEND");
  png = WithChunk(png, Chunk("tEXt", "last" + kNul + "seen"), "IEND");
  EXPECT_EQ(ReadPngText(png), (PngText{{"diptych", "receipt"}, {"last", "seen"}}));
}

// 8 MB that hold 999 texts of 8 MB each, and a profile of the same size.
TEST(PngText, IsUnpackedWithinABoundForAllOfThem) {
  const std::string text(((8 << 20) - 100), ' ');
  const std::string packed = Deflated(text);
  std::string chunks = Chunk("tEXt", "diptych" + kNul + "receipt") + Chunk("iCCP", "p" + kNul + kNul + packed);
  for (int i = 0; i < 999; ++i) {
    chunks += i % 2 == 0 ? Chunk("iTXt", "k" + std::to_string(i) + kNul + "\1" + kNul + kNul + kNul + packed)
                         : Chunk("zTXt", "k" + std::to_string(i) + kNul + kNul + packed);
  }
  const std::string bomb = WithChunk(EncodePng(Gradient(8, 8), {}), chunks, "IDAT");
  const PngText found = ReadPngText(bomb);
  EXPECT_EQ(found.size(), 5u) << "what is whole and within 32 MiB";
  EXPECT_EQ(found[0].second, "receipt");
  for (const auto& read :
       {std::function<void()>([&] { ReadPngText(bomb); }), std::function<void()>([&] { DecodePng(bomb); }),
        std::function<void()>([&] { ReadPictureText(bomb); })}) {
    const ChildCost cost = CostInChild(read);
    EXPECT_TRUE(cost.ended && cost.refusal.empty()) << cost.refusal;
    EXPECT_LT(cost.memory_mib, 120 * kMemoryAllowance);
    EXPECT_LT(cost.cpu_s, 2 * kTimeAllowance);
  }
}

// A text that is too long is not unpacked to its end, and what was unpacked of it counts.
TEST(PngText, OfTooManyBytesIsLeftOutAndCounts) {
  const std::string plain = EncodePng(Gradient(8, 8), {});
  const std::string huge = Deflated(std::string(64 << 20, 'x'));
  std::string chunks;
  for (int i = 0; i < 200; ++i) chunks += Chunk("zTXt", "k" + kNul + kNul + huge);
  const std::string bomb = WithChunk(plain, chunks, "IDAT");
  const ChildCost cost = CostInChild([&] { ReadPngText(bomb); });
  EXPECT_TRUE(cost.ended);
  EXPECT_LT(cost.memory_mib, 60 * kMemoryAllowance);
  EXPECT_LT(cost.cpu_s, 2 * kTimeAllowance);
  EXPECT_TRUE(ReadPngText(bomb).empty());
}

TEST(PngText, OfADamagedChunkIsLeftOut) {
  const std::string plain = EncodePng(Gradient(8, 8), {});
  std::string wrong_sum = Chunk("tEXt", "a" + kNul + "x");
  wrong_sum.back() ^= 1;
  for (const std::string& chunk :
       {wrong_sum, Chunk("tEXt", "no end of its keyword"), Chunk("tEXt", kNul + "x"), Chunk("zTXt", "a" + kNul),
        Chunk("zTXt", "a" + kNul + "\1" + Deflated("x")), Chunk("zTXt", "a" + kNul + kNul + "damaged"),
        Chunk("zTXt", "a" + kNul + kNul + Deflated(std::string(1000, 'x')).substr(0, 12)),
        Chunk("iTXt", "a" + kNul + kNul), Chunk("iTXt", "a" + kNul + kNul + kNul + "en"),
        Chunk("iTXt", "a" + kNul + "\2" + kNul + kNul + kNul + "x"),
        Chunk("tEXt", std::string(80, 'k') + kNul + "x")}) {
    EXPECT_TRUE(ReadPngText(WithChunk(plain, chunk, "IDAT")).empty());
    EXPECT_TRUE(DecodePng(WithChunk(plain, chunk, "IDAT")).text.empty());
  }
}

TEST(PngText, IsReadOfAPictureThatIsCutOff) {
  const std::string png = EncodePng(Gradient(64, 64), {{"diptych", "receipt"}});
  EXPECT_EQ(ReadPngText(png.substr(0, png.find("IDAT") + 10)), (PngText{{"diptych", "receipt"}}));
  EXPECT_THROW(ReadPngText(EncodePng(Gradient(64, 64), {}).substr(0, 60)), Error);
}

TEST(PngText, IsReadOfWhateverColoursAnotherProgramChose) {
  const std::string text = Chunk("tEXt", "diptych" + kNul + "receipt");
  for (const auto& [colour, palette] :
       {std::pair(PNG_COLOR_TYPE_PALETTE, true), std::pair(PNG_COLOR_TYPE_GRAY, false)}) {
    const std::string head = std::string("\0\0\0\1\0\0\0\1\10", 9) + static_cast<char>(colour) + std::string(3, '\0');
    const std::string png = "\x89PNG\r\n\x1a\n" + Chunk("IHDR", head) + (palette ? Chunk("PLTE", "abc") : "") +
                            Chunk("IDAT", Deflated(std::string(2, '\0'))) + text + Chunk("IEND", "");
    EXPECT_EQ(ReadPngText(png), (PngText{{"diptych", "receipt"}})) << colour;
  }
}

TEST(PngText, IsReadFromExifToo) {
  const std::string png = WithChunk(EncodePng(Gradient(8, 8), {}), Chunk("eXIf", MakeExif(kTexts)), "IEND");
  EXPECT_EQ(ReadPngText(png), kTexts);
}

TEST(PngText, IsTakenOutWithoutTouchingThePixels) {
  const Picture picture = Gradient(24, 16);
  EXPECT_EQ(WithoutPngText(EncodePng(picture, kTexts)), EncodePng(picture, {}));
  EXPECT_THROW(WithoutPngText(EncodePng(picture, kTexts).substr(0, 200)), Error);
}

TEST(PictureText, GoesThroughEveryFormat) {
  for (const PictureFormat format : {PictureFormat::kPng, PictureFormat::kJpeg, PictureFormat::kWebp}) {
    const std::string bytes = EncodePicture(format, Gradient(40, 24), 90, kTexts);
    EXPECT_EQ(SniffPictureFormat(bytes), format);
    EXPECT_EQ(ReadPictureText(bytes), kTexts) << PictureFormatName(format);
    EXPECT_EQ(bytes, EncodePicture(format, Gradient(40, 24), 90, kTexts));
    EXPECT_EQ(ReadPictureText(EncodePicture(format, Gradient(40, 24), 90, {})), PictureText{});
  }
  EXPECT_THROW(ReadPictureText("GIF89a"), Error);
  EXPECT_THROW(ReadPictureText("RIFF\x10\0\0\0WEBPVP8 "), Error);
}

// A JPEG's EXIF has 64 KiB, a prompt up to a megabyte.
TEST(PictureText, OfAnyLengthGoesThroughEveryFormat) {
  for (const size_t bytes : {size_t{20'000}, size_t{40'000}, size_t{300'000}}) {
    const PictureText texts = {{"diptych", std::string(bytes, 'r')}, {"parameters", std::string(bytes, 'p')}};
    for (const PictureFormat format : {PictureFormat::kPng, PictureFormat::kJpeg, PictureFormat::kWebp}) {
      const PictureText read = ReadPictureText(EncodePicture(format, Gradient(16, 16), 90, texts));
      ASSERT_FALSE(read.empty()) << bytes;
      EXPECT_EQ(read[0], texts[0]) << bytes;
      EXPECT_EQ(read.size(), format == PictureFormat::kJpeg && bytes > 20'000 ? 1u : 2u) << bytes;
    }
  }
}

// What piexif.helper.UserComment.load expects.
TEST(Exif, WritesAUserCommentAsA1111) {
  const std::string exif = MakeExif({{"parameters", "h\xc3\xa9"}});
  EXPECT_EQ(exif.substr(0, 8), std::string("MM\0\x2a\0\0\0\x08", 8));
  EXPECT_NE(exif.find(std::string("UNICODE\0\0h\0\xe9", 12)), std::string::npos);
  EXPECT_EQ(MakeExif({}), "");
  EXPECT_THROW(MakeExif({{"parameters", "\xff"}}), Error);
}

TEST(Exif, SurvivesWhatIsDamaged) {
  const std::string exif = MakeExif(kTexts);
  for (size_t size = 0; size < exif.size(); ++size) (void)ReadExifText(std::string_view(exif).substr(0, size));
  for (size_t at = 0; at < exif.size(); ++at) {
    std::string changed = exif;
    changed[at] = static_cast<char>(~changed[at]);
    (void)ReadExifText(changed);
  }
}

// A chunk takes eight bytes; libwebpmux would keep some eighty for each of them.
TEST(Webp, OfManyChunksIsReadWithoutKeepingThem) {
  std::string file = "RIFF" + std::string(4, '\xff') + "WEBP";
  while (file.size() < (size_t{24} << 20)) file += "junk" + std::string(4, '\0');
  const ChildCost cost = CostInChild([&] { ReadWebpText(file); });
  EXPECT_TRUE(cost.ended && cost.refusal.empty()) << cost.refusal;
  EXPECT_LT(cost.memory_mib, 10 * kMemoryAllowance);
  EXPECT_LT(cost.cpu_s, 2 * kTimeAllowance);
}

TEST(Webp, ThatStatesToBeShorterThanItsHeadIsRefused) {
  for (char stated = 0; stated < 4; ++stated) {
    const std::string file = std::string("RIFF") + stated + std::string("\0\0\0WEBPVP8 \1\0\0\0x", 16);
    EXPECT_THROW(ReadWebpText(file), Error) << int{stated};
  }
  EXPECT_TRUE(ReadWebpText(std::string("RIFF\4\0\0\0WEBPVP8 \1\0\0\0x", 21)).empty());
}

TEST(Webp, KeepsThePictureWithinItsQuality) {
  const Picture picture = Gradient(64, 48);
  const std::string bytes = EncodeWebp(picture, 95, kTexts);
  int width = 0, height = 0;
  uint8_t* rgb = WebPDecodeRGB(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &width, &height);
  ASSERT_NE(rgb, nullptr);
  EXPECT_EQ(width, 64);
  EXPECT_EQ(height, 48);
  int worst = 0;
  for (size_t i = 0; i < picture.rgb.size(); ++i) worst = std::max(worst, std::abs(rgb[i] - picture.rgb[i]));
  EXPECT_LT(worst, 16);
  WebPFree(rgb);
  EXPECT_LT(EncodeWebp(picture, 10, {}).size(), bytes.size());
  EXPECT_THROW(EncodeWebp({kMaxWebpSide + 1, 1, std::vector<uint8_t>(3 * (kMaxWebpSide + 1))}, 90, {}), Error);
  EXPECT_THROW(EncodeWebp(picture, 0, {}), Error);
  EXPECT_THROW(EncodeWebp({2, 2, {1}}, 90, {}), Error);
}

}  // namespace
}  // namespace diptych
