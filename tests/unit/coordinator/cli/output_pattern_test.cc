#include "coordinator/cli/output_pattern.h"

#include <ctime>
#include <filesystem>

#include "common/files/temporary_name.h"
#include "coordinator/cli/command.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

PictureFacts Facts() {
  std::tm noon = {};
  noon.tm_year = 126;
  noon.tm_mon = 10;
  noon.tm_mday = 3;
  noon.tm_hour = 9;
  noon.tm_min = 5;
  noon.tm_isdst = -1;
  return {.index = 7,
          .pictures = 40,
          .seed = 9223372036854775807u,
          .prompt = "A red star, (big:1.2)/blue \"sky\"\n",
          .width = 640,
          .height = 512,
          .steps = 9,
          .unix_s = std::mktime(&noon)};
}

std::string RefusalOf(const std::string& pattern) {
  try {
    HasFields(pattern, "--output");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

TEST(OutputPattern, SaysWhatAPictureIs) {
  EXPECT_EQ(ExpandPattern("{seed}.png", Facts()), "9223372036854775807.png");
  EXPECT_EQ(ExpandPattern("{index}", Facts()), "07");
  EXPECT_EQ(ExpandPattern("{date}/{time}-{width}x{height}-{steps}.png", Facts()), "2026-11-03/090500-640x512-9.png");
  EXPECT_EQ(ExpandPattern("{prompt}.png", Facts()), "A-red-star-big-1-2-blue-sky.png");
  EXPECT_EQ(ExpandPattern("a{{b}}-{steps}.png", Facts()), "a{b}-9.png");
}

TEST(OutputPattern, KnowsWhetherThereAreFields) {
  EXPECT_TRUE(HasFields("{seed}.png", ""));
  for (const char* plain : {"a.png", "a{{b}}.png", ""}) EXPECT_FALSE(HasFields(plain, "")) << plain;
}

TEST(OutputPattern, NamesTheFieldsThatThereAre) {
  EXPECT_EQ(
      RefusalOf("{sed}.png"),
      "--output \"{sed}.png\": there is no field {sed}; a name may hold {seed}, {index}, {prompt}, {date}, {time}, "
      "{width}, {height}, {steps}, and {{ for a brace");
  EXPECT_EQ(RefusalOf("a{seed").rfind("--output \"a{seed\": \"{\" begins a field that does not end; ", 0), 0u);
  EXPECT_EQ(RefusalOf("a}b").rfind("--output \"a}b\": \"}\" ends no field; ", 0), 0u);
  EXPECT_NE(RefusalOf("{}"), "none");
}

TEST(OutputPattern, MakesANameOfEveryPrompt) {
  EXPECT_EQ(PromptInName("J\xC3\xB6rg \xE5\x8F\xA5 \xF0\x9F\x9A\x80!", 80),
            "J\xC3\xB6rg-\xE5\x8F\xA5-\xF0\x9F\x9A\x80");
  EXPECT_EQ(PromptInName("../../etc/passwd", 80), "etc-passwd");
  EXPECT_EQ(PromptInName("-rf .hidden", 80), "rf-hidden");
  EXPECT_EQ(PromptInName("\xff\x01 ?*", 80), "picture");
  EXPECT_EQ(PromptInName("", 80), "picture");
  EXPECT_EQ(PromptInName("a\xE2\x80\xAE gnp.\xE2\x80\x8B b", 80), "a-gnp-b");  // signs that turn and hide text
  EXPECT_EQ(PromptInName("snake_case 12", 80), "snake_case-12");
  EXPECT_EQ(PromptInName("abc def", 4), "abc");
  EXPECT_EQ(PromptInName("\xE5\x8F\xA5\xE5\x8F\xA5", 4), "\xE5\x8F\xA5");
}

TEST(OutputPattern, FitsTheFileSystem) {
  PictureFacts facts = Facts();
  facts.prompt = std::string(5000, 'a');
  EXPECT_EQ(ExpandPattern("{prompt}.png", facts), std::string(80, 'a') + ".png");
  const size_t limit = LongestFileName(".");
  const std::string long_name = ExpandPattern(std::string(200, 'x') + "{prompt}{prompt}.png", facts);
  EXPECT_LT(long_name.size(), limit);
  EXPECT_NE(long_name.find("xaaa"), std::string::npos);
}

}  // namespace
}  // namespace diptych
