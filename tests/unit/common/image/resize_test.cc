#include "common/image/resize.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/error/error.h"
#include "common/image/png.h"
#include "gtest/gtest.h"
#include "tests/support/cpu_time.h"

namespace diptych {
namespace {

// As noise() of make_resize_goldens.py.
std::vector<uint8_t> Noise(int32_t width, int32_t height, int32_t channels) {
  auto state = static_cast<uint64_t>(width * 7919 + height * 104729 + channels);
  std::vector<uint8_t> values(static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(channels));
  for (uint8_t& value : values) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const auto byte = static_cast<uint8_t>(state >> 56);
    value = (state >> 40) % 2 == 0 ? byte : byte < 128 ? 0 : 255;
  }
  return values;
}

Picture NoisePicture(int32_t width, int32_t height) { return {width, height, Noise(width, height, 3)}; }

std::string MessageOf(const std::function<void()>& work, ErrorCode code) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(Resize, EqualsPillowToTheBit) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(DIPTYCH_SOURCE_DIR "/tests/unit/common/image/data/resize")) {
    int width = 0, height = 0, to_width = 0, to_height = 0;
    char mode[8] = {};
    const std::string name = entry.path().stem();
    ASSERT_EQ(std::sscanf(name.c_str(), "%dx%d_%dx%d_%4s", &width, &height, &to_width, &to_height, mode), 5) << name;
    std::ifstream file(entry.path(), std::ios::binary);
    const Picture golden = DecodePng(std::string{std::istreambuf_iterator<char>(file), {}}).picture;
    ASSERT_EQ(golden.width, to_width) << name;
    ASSERT_EQ(golden.height, to_height) << name;
    if (std::string(mode) == "rgb") {
      EXPECT_EQ(Resize(NoisePicture(width, height), to_width, to_height).rgb, golden.rgb) << name;
    } else {
      const GreyPicture grey = Resize(GreyPicture{width, height, Noise(width, height, 1)}, to_width, to_height);
      for (size_t i = 0; i < grey.grey.size(); ++i) ASSERT_EQ(grey.grey[i], golden.rgb[3 * i]) << name << ' ' << i;
    }
    ++files;
  }
  EXPECT_EQ(files, 36);
}

TEST(Resize, GivesBackAPictureThatHasTheSize) {
  const Picture picture = NoisePicture(20, 30);
  EXPECT_EQ(Resize(picture, 20, 30).rgb, picture.rgb);
}

TEST(Resize, RefusesSizesThatAreNoneOrTooLarge) {
  const Picture picture = NoisePicture(4, 4);
  for (const auto& [width, height] : {std::pair(0, 4), {4, -1}, {65501, 1}, {65500, 65500}}) {
    const std::string message =
        MessageOf([&, w = width, h = height] { Resize(picture, w, h); }, ErrorCode::kInvalidArgument);
    EXPECT_NE(message.find(std::to_string(width) + "x" + std::to_string(height)), std::string::npos) << message;
  }
  MessageOf([] { Resize(Picture{}, 4, 4); }, ErrorCode::kInvalidArgument);
  EXPECT_EQ(MessageOf(
                [] {
                  Resize(Picture{4, 4, {1, 2, 3}}, 4, 4);
                },
                ErrorCode::kInvalidArgument),
            "a picture of 4x4 px must have 48 bytes, not 3");
}

TEST(Resize, LetsSomebodyLookInEachPassAndEndsWhenTheyLeave) {
  for (const auto& [width, height] : {std::pair(900, 100), {100, 900}, {900, 900}, {400, 10}}) {
    const Picture picture = NoisePicture(600, 600);
    int looks = 0;
    Resize(picture, width, height, [&looks] { ++looks; });
    EXPECT_GE(looks, 20);
    for (int last = 1; last < looks; last += looks / 7) {
      int seen = 0;
      MessageOf(
          [&, w = width, h = height] {
            Resize(picture, w, h, [&] {
              if (++seen == last) throw Error(ErrorCode::kCancelled, "cancelled");
            });
          },
          ErrorCode::kCancelled);
      EXPECT_EQ(seen, last);
    }
  }
}

TEST(Resize, TakesSecondsForTheLargest) {
  const CpuTimer timer;
  Resize(Picture{16384, 3906, std::vector<uint8_t>(size_t{16384} * 3906 * 3)}, 1024, 1024);
  Resize(Picture{1, 16384, std::vector<uint8_t>(size_t{16384} * 3)}, 16384, 1);  // 800 MB with the rows first
  Resize(Picture{16384, 1, std::vector<uint8_t>(size_t{16384} * 3)}, 1, 16384);
  EXPECT_LT(timer.Seconds(), 10 * kTimeAllowance);
}

}  // namespace
}  // namespace diptych
