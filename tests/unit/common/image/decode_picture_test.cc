#include "common/image/decode_picture.h"

#include <sys/resource.h>
#include <zlib.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

// libjpeg's header needs size_t and FILE from above.
#include <jpeglib.h>
#include <webp/encode.h>

#include "common/error/error.h"
#include "common/image/jpeg.h"
#include "common/image/png.h"
#include "common/image/webp.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

const std::filesystem::path kFolder = DIPTYCH_SOURCE_DIR "/tests/unit/common/image/data/decode";

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> Names() {  // of the pictures, without what Pillow makes of them
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".rgb.png") || name.ends_with(".alpha.png") || name.starts_with("animated")) continue;
    names.push_back(name);
  }
  return names;
}

std::string MessageOf(const std::function<void()>& work, ErrorCode code) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::string RefusalOf(const std::string& bytes, const DecodeLimits& limits = {}) {
  return MessageOf([&] { DecodePicture(bytes, limits); }, ErrorCode::kInvalidArgument);
}

std::string DamageOf(const std::string& bytes) {
  return MessageOf([&] { DecodePicture(bytes); }, ErrorCode::kDataLoss);
}

std::string BigEndian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string Chunk(const std::string& name, const std::string& data) {
  const std::string body = name + data;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return BigEndian(static_cast<uint32_t>(data.size())) + body + BigEndian(static_cast<uint32_t>(sum));
}

// RGB with 8 bits.
std::string Png(uint32_t width, uint32_t height, const std::string& packed) {
  return "\x89PNG\r\n\x1a\n" + Chunk("IHDR", BigEndian(width) + BigEndian(height) + std::string("\x08\x02\0\0\0", 5)) +
         Chunk("IDAT", packed) + Chunk("IEND", "");
}

std::string Packed(size_t zeros) {
  const std::string plain(zeros, '\0');
  uLongf size = compressBound(plain.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(plain.data()), plain.size(),
            9);
  packed.resize(size);
  return packed;
}

// Grey in all colours, in the scans given.
std::string JpegInScans(int width, int height, const std::vector<jpeg_scan_info>& scans, bool arithmetic = false) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  for (int i = 0; i < 3; ++i) jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
  jpeg.scan_info = scans.data();
  jpeg.num_scans = static_cast<int>(scans.size());
  jpeg.optimize_coding = arithmetic ? FALSE : TRUE;
  jpeg.arith_code = arithmetic ? TRUE : FALSE;
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<JSAMPLE> row(3 * static_cast<size_t>(width), 90);
  JSAMPROW rows = row.data();
  while (jpeg.next_scanline < jpeg.image_height) jpeg_write_scanlines(&jpeg, &rows, 1);
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string bytes(reinterpret_cast<const char*>(out), size);
  std::free(out);
  return bytes;
}

jpeg_scan_info Scan(int component, int first, int last, int high, int low) {
  return {1, {component, 0, 0, 0}, first, last, high, low};
}

// The scan of each colour alone, one after the other.
const std::vector<jpeg_scan_info> kThreeScans = {Scan(0, 0, 63, 0, 0), Scan(1, 0, 63, 0, 0), Scan(2, 0, 63, 0, 0)};

// The last scan, once more in front of the end.
std::string WithRepeatedScan(std::string jpeg, int times) {
  const size_t last = jpeg.rfind("\xFF\xDA"), end = jpeg.rfind("\xFF\xD9");
  const std::string scan = jpeg.substr(last, end - last);
  for (int i = 0; i < times; ++i) jpeg.insert(end, scan);
  return jpeg;
}

TEST(DecodePicture, EqualsPillow) {
  int files = 0;
  for (const std::string& name : Names()) {
    SCOPED_TRACE(name);
    const std::string bytes = ReadAll(kFolder / name);
    const DecodedPicture decoded = DecodePicture(bytes);
    const Picture golden = DecodePng(ReadAll(kFolder / (name + ".rgb.png"))).picture;
    ASSERT_EQ(decoded.picture.width, golden.width);
    ASSERT_EQ(decoded.picture.height, golden.height);
    ASSERT_EQ(decoded.picture.rgb.size(), golden.rgb.size());
    const bool lossy =
        name.ends_with(".jpg") || name.find("lossy") != std::string::npos || name == "orientation6_alpha.webp";
    int most = 0;
    for (size_t i = 0; i < golden.rgb.size(); ++i) {
      most = std::max(most, std::abs(decoded.picture.rgb[i] - golden.rgb[i]));
    }
    EXPECT_LE(most, lossy ? 1 : 0);
    if (most > 0) std::cout << name << ": " << most << " level\n";

    const bool has_alpha = std::filesystem::exists(kFolder / (name + ".alpha.png"));
    ASSERT_EQ(decoded.alpha.has_value(), has_alpha);
    if (has_alpha) {
      const Picture alpha = DecodePng(ReadAll(kFolder / (name + ".alpha.png"))).picture;
      ASSERT_EQ(decoded.alpha->width, golden.width);
      ASSERT_EQ(decoded.alpha->height, golden.height);
      for (size_t i = 0; i < decoded.alpha->grey.size(); ++i) ASSERT_EQ(decoded.alpha->grey[i], alpha.rgb[3 * i]) << i;
    }
    EXPECT_EQ(PeekPictureSize(bytes), (PictureSize{golden.width, golden.height, has_alpha}));
    ++files;
  }
  EXPECT_GE(files, 60);
}

TEST(DecodePicture, RefusesEveryFileThatIsCutOff) {
  for (const std::string& name : Names()) {
    const std::string bytes = ReadAll(kFolder / name);
    for (size_t size = 12; size < bytes.size(); ++size) {
      // A WebP's chunks are filled up to even sizes, and who leaves the last byte out has lost nothing.
      if (name.ends_with(".webp") && size + 1 == bytes.size()) continue;
      try {
        DecodePicture(bytes.substr(0, size));
        ADD_FAILURE() << name << " with " << size << " of " << bytes.size() << " bytes";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kDataLoss) << name << ' ' << error.what();
      }
    }
  }
}

TEST(DecodePicture, TakesNoDamagedPixelsForWhole) {
  // A PNG has checksums; in a JPEG what its decoder can notice is an error.
  std::string png = ReadAll(kFolder / "rgb8.png");
  png[png.find("IDAT") + 20] ^= 1;
  EXPECT_NE(DamageOf(png).find("the PNG is damaged"), std::string::npos);
  const std::string jpeg = ReadAll(kFolder / "restarts.jpg");
  std::string without_restart = jpeg;
  without_restart.erase(without_restart.find("\xFF\xD1"), 2);
  EXPECT_NE(DamageOf(without_restart).find("the JPEG is damaged"), std::string::npos);
  std::string more = jpeg;
  more.insert(more.rfind("\xFF\xD9"), 50, 'x');
  EXPECT_NE(DamageOf(more).find("extraneous"), std::string::npos);
  EXPECT_EQ(DecodePicture(jpeg + "anything behind the end").picture.width, 45);
}

TEST(DecodePicture, SaysWhatAFileIsThatIsNoPicture) {
  const std::pair<std::string, std::string> kinds[] = {
      {"GIF89a......", "a GIF"},
      {std::string("II*\0........", 12), "a TIFF"},
      {std::string("\0\0\0\x1c", 4) + "ftypavif", "an AVIF"},
      {std::string("\0\0\0\x1c", 4) + "ftypheic", "a HEIC"},
      {"<?xml version='1.0'?>\n<svg xmlns='x'/>", "an SVG"},
      {"%PDF-1.7\n", "a PDF"},
      {"BM......", "a BMP"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:", "a Git LFS pointer"},
      {"<!DOCTYPE html><html><body>404", "a web page"},
      {"Not a picture at all.\n", "text"},
      {std::string("\x01\x02\x03\0\0\0", 6), "no picture of a known kind"},
      {"", "empty"},
      {"RIFF....WAVEfmt ", "a sound or a video"},
  };
  for (const auto& [bytes, what] : kinds) {
    const std::string message = RefusalOf(bytes);
    EXPECT_EQ(message.find("this is " + what), 0U) << message;
    EXPECT_NE(message.find("; PNG, JPEG and WebP are read"), std::string::npos) << message;
    MessageOf([&, b = bytes] { PeekPictureSize(b); }, ErrorCode::kInvalidArgument);
  }
  EXPECT_NE(DamageOf("\x89PNG\n\x1a\n....").find("its first bytes were changed"), std::string::npos);
}

TEST(DecodePicture, RefusesAnimationsAndReadsWhatIsCalledOneButIsNot) {
  EXPECT_EQ(RefusalOf(ReadAll(kFolder / "animated.png")), "this is an animated PNG; a single picture is read");
  EXPECT_EQ(RefusalOf(ReadAll(kFolder / "animated.webp")), "this is an animated WebP; a single picture is read");
  std::string single = ReadAll(kFolder / "rgb8.png");
  single.insert(33, Chunk("acTL", BigEndian(1) + BigEndian(0)));
  EXPECT_EQ(DecodePicture(single).picture.width, 13);
}

TEST(DecodePicture, LooksAtTheLimitsBeforeAnythingIsAllocated) {
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  EXPECT_EQ(RefusalOf(Png(16385, 1, Packed(100))),
            "the PNG has 16385x1 px; at most 16384 px a side and 64000000 px in all are read");
  EXPECT_NE(RefusalOf(Png(16000, 16000, Packed(100))).find("16000x16000"), std::string::npos);
  EXPECT_NE(DamageOf(Png(8000, 8000, Packed(100))).find("bytes cannot hold 8000x8000 px"), std::string::npos);
  EXPECT_EQ(DamageOf(Png(0, 5, Packed(100))), "the PNG is damaged: it says it has 0x5 px");
  EXPECT_EQ(DamageOf(Png(0xFFFFFFFF, 5, Packed(100))), "the PNG is damaged: it says it has 4294967295x5 px");

  const std::string jpeg = ReadAll(kFolder / "444.jpg");
  const auto with_size = [](std::string bytes, const char* marker, int width, int height) {
    const std::string size = {static_cast<char>(height >> 8), static_cast<char>(height), static_cast<char>(width >> 8),
                              static_cast<char>(width)};
    return bytes.replace(bytes.find(marker) + 5, size.size(), size);
  };
  EXPECT_NE(RefusalOf(with_size(jpeg, "\xFF\xC0", 60000, 40)).find("60000x40"), std::string::npos);
  EXPECT_NE(DamageOf(with_size(jpeg, "\xFF\xC0", 7900, 8100)).find("cannot hold"), std::string::npos);
  EXPECT_NE(DamageOf(with_size(ReadAll(kFolder / "progressive.jpg"), "\xFF\xC2", 7900, 8100)).find("cannot hold"),
            std::string::npos);
  DamageOf(with_size(jpeg, "\xFF\xC0", 0, 40));
  DamageOf(with_size(jpeg, "\xFF\xC0", 40, 0));

  std::string webp = ReadAll(kFolder / "lossless.webp");  // 14 bits of width - 1, 14 of height - 1
  const size_t at = webp.find("VP8L") + 9;
  for (size_t i = 0; i < 3; ++i) webp[at + i] = '\xFF';
  webp[at + 3] = static_cast<char>(webp[at + 3] | '\x0F');
  EXPECT_NE(RefusalOf(webp).find("the WebP has 16384x16384 px"), std::string::npos);

  EXPECT_NE(RefusalOf(jpeg, {.max_bytes = 100}).find("at most 100 are read"), std::string::npos);
  EXPECT_NE(RefusalOf(jpeg, {.max_side = 44}).find("at most 44 px a side"), std::string::npos);
  EXPECT_NE(RefusalOf(jpeg, {.max_pixels = 45 * 35 - 1}).find("45x35"), std::string::npos);
  EXPECT_EQ(DecodePicture(jpeg, {.max_side = 45, .max_pixels = 45 * 35}).picture.width, 45);
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 30'000);  // kB
}

TEST(DecodePicture, RefusesAJpegThatKeepsItsDecoderBusy) {
  const std::string jpeg = JpegInScans(64, 64, kThreeScans);
  EXPECT_EQ(DecodePicture(WithRepeatedScan(jpeg, 90)).picture.width, 64);
  EXPECT_NE(RefusalOf(WithRepeatedScan(jpeg, 200)).find("more than 100 scans"), std::string::npos);
}

TEST(DecodePicture, NamesAColourWhoseScansAreMissing) {
  std::string jpeg = JpegInScans(64, 64, kThreeScans);
  const size_t last = jpeg.rfind("\xFF\xDA"), end = jpeg.rfind("\xFF\xD9");
  jpeg.erase(last, end - last);
  EXPECT_NE(DamageOf(jpeg).find("a part of its colours is missing"), std::string::npos);
}

TEST(DecodePicture, RefusesKindsOfJpegThatNobodyReads) {
  std::string jpeg = ReadAll(kFolder / "444.jpg");
  const size_t frame = jpeg.find("\xFF\xC0");
  std::string twelve_bits = jpeg, lossless = jpeg;
  twelve_bits[frame + 4] = 12;
  lossless[frame + 1] = '\xC3';
  for (const std::string& bytes : {twelve_bits, lossless, JpegInScans(64, 64, kThreeScans, /*arithmetic=*/true)}) {
    EXPECT_NE(RefusalOf(bytes).find("of a kind that is not read"), std::string::npos);
  }
}

TEST(DecodePicture, TakesABoundedTimeForTheLargest) {
  // 64 million pixels of which all 100 scans refine every coefficient, as slowly as a few bytes can.
  std::vector<jpeg_scan_info> scans = {{3, {0, 1, 2, 0}, 0, 0, 0, 0}};
  for (int component = 0; component < 3; ++component) {
    for (int low = 10; low >= 0; --low) {
      scans.push_back(Scan(component, 1, 31, low == 10 ? 0 : low + 1, low));
      scans.push_back(Scan(component, 32, 63, low == 10 ? 0 : low + 1, low));
    }
  }
  const std::string slow = JpegInScans(1024, 1024, scans);
  auto start = std::chrono::steady_clock::now();
  DecodePicture(slow);
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  std::cout << "progressive, 1 Mpx, " << scans.size() << " scans, " << slow.size() << " bytes: " << seconds() << " s\n";
  EXPECT_LT(seconds(), 5);

  const std::string png = Png(8000, 8000, Packed(size_t{8000} * 24001));
  start = std::chrono::steady_clock::now();
  EXPECT_EQ(DecodePicture(png).picture.width, 8000);
  std::cout << "PNG, 64 Mpx, " << png.size() << " bytes: " << seconds() << " s\n";
  EXPECT_LT(seconds(), 20);
}

TEST(DecodePicture, LetsSomebodyLookAndEndsWhenTheyLeave) {
  const Picture grey{100, 1000, std::vector<uint8_t>(300'000, 100)};
  const std::vector<uint8_t> jpeg = EncodeJpeg(grey, 80);
  for (const std::string& bytes :
       {EncodePng(grey, {}), std::string(jpeg.begin(), jpeg.end()), JpegInScans(100, 1000, kThreeScans)}) {
    int looks = 0;
    DecodePicture(bytes, {}, [&looks] { ++looks; });
    EXPECT_GE(looks, 15);
    for (int last = 1; last <= looks; ++last) {
      int seen = 0;
      MessageOf(
          [&] {
            DecodePicture(bytes, {}, [&] {
              if (++seen == last) throw Error(ErrorCode::kCancelled, "cancelled");
            });
          },
          ErrorCode::kCancelled);
    }
  }
}

TEST(PeekPictureSize, IsContentWithTheHead) {
  for (const auto& [name, size] :
       {std::pair("rgba8.png", 70), {"444.jpg", 630}, {"lossless_alpha.webp", 60}, {"lossy.webp", 60}}) {
    const std::string bytes = ReadAll(kFolder / name);
    ASSERT_GT(bytes.size(), static_cast<size_t>(size)) << name;
    EXPECT_EQ(PeekPictureSize(bytes.substr(0, static_cast<size_t>(size))), PeekPictureSize(bytes)) << name;
  }
  EXPECT_EQ(PeekPictureSize(Png(60000, 40000, "")), (PictureSize{60000, 40000, false}));
}

TEST(GreyOf, WeighsAsPillow) {
  const Picture picture{3, 2, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 7, 7, 7, 1, 2, 3}};
  EXPECT_EQ(GreyOf(picture).grey, (std::vector<uint8_t>{76, 150, 29, 255, 7, 2}));
}

}  // namespace
}  // namespace diptych
