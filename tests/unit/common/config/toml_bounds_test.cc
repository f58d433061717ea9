#include "common/config/toml_bounds.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "common/config/profile_file.h"
#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/support/child_cost.h"

namespace diptych {
namespace {

std::string Repeated(const std::string& part, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text += part;
  return text;
}

std::string RefusalOf(const std::string& text) {
  try {
    CheckTomlBounds(text, "f");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(TomlBounds, LetThroughWhatAConfigurationHolds) {
  EXPECT_EQ(RefusalOf("# [[[[[[[[[[\n[default]\nx = [[[1, 2.5], {a.b = 'c'}]]\n[[a.\"b.c.d\"]]\n"), "");
  EXPECT_EQ(RefusalOf("x = \"" + Repeated("[", 100) + "\\\"" + Repeated(".", 100) + "\"\n"), "");
  EXPECT_EQ(RefusalOf("x = '" + Repeated("[", 100) + "'\n"), "");
  EXPECT_EQ(RefusalOf("x = \"\"\"\n" + Repeated("[.\n\"\"", 100) + "\"\"\"\n"), "");
  EXPECT_EQ(RefusalOf(Repeated("a.b = 1.5, 2.5\n", 5000)), "");
}

TEST(TomlBounds, NameTheLineOfWhatNoConfigurationHas) {
  EXPECT_EQ(RefusalOf("a = 1\nx = " + Repeated("[", 10'000)),
            "f:2: nested deeper than 8 levels, which no configuration has");
  EXPECT_EQ(RefusalOf("x = " + Repeated("{a=", 9)), "f:1: nested deeper than 8 levels, which no configuration has");
  EXPECT_EQ(RefusalOf("[default" + Repeated(".a", 100'000) + "]"),
            "f:1: a key of more than 8 parts, which no configuration has");
  EXPECT_EQ(RefusalOf(Repeated("\"a\" . ", 20)), "f:1: a key of more than 8 parts, which no configuration has");
  EXPECT_EQ(RefusalOf("x = [\n" + Repeated("1,\n", 500)),
            "f:501: a list or table of more than 500 values, which no configuration has");
  // Behind strings whose end can be mistaken.
  for (const std::string string : {R"("")", R"("\"")", R"('\')", R"("""""")", R"(""""a"""")", R"("""""a""""")",
                                   R"('''''a''''')", "\"\"\"\n\\\"\"\"\"", "\"open\n", "'open\n"}) {
    EXPECT_NE(RefusalOf("x = [" + string + ", " + Repeated("[", 9)), "") << string;
  }
}

// Each with as many bytes as a configuration may have: read or refused, within seconds.
TEST(TomlBounds, LeaveNothingThatTakesTheParserLong) {
  const size_t most = kTimeAllowance > 1 ? 30'000 : 130'000;
  const auto fill = [most](std::string text, const std::string& part) {
    for (size_t i = 0; text.size() + part.size() < most; ++i) {
      text += part;
      if (const size_t number = text.rfind('#'); number != text.npos && part.find('#') != part.npos) {
        text.replace(number, 1, std::to_string(i));
      }
    }
    return text;
  };
  const std::string list = Repeated("\"\",", 490);
  const std::string texts[] = {"[default]\nmodel_path = " + Repeated("[", 50'000) + Repeated("]", 50'000),
                               "[default" + Repeated(".a", 60'000) + "]",
                               fill("[default]\n", "k#=1\n"),
                               fill("", "[t#]\n"),
                               fill("[default]\n", "k# = [" + list + "]\n"),
                               fill("[default]\n", "k# = [[[[[[[[\"a\",\"b\"]]]]]]]]\n"),
                               fill("[default]\n", "k#.a.b.c.d.e.f.g=1\n"),
                               fill("[default]\nx = [", "\"" + std::string(250, 'x') + "\","),
                               fill("[default]\nx = \"", "x"),
                               fill("", "k"),
                               fill("[default]\n", "x = {" + Repeated("a={},", 50) + "b=1}\n")};
  const std::string path = (std::filesystem::path(testing::TempDir()) / "diptych_toml_bounds.toml").string();
  for (const std::string& text : texts) {
    std::ofstream(path) << text;
    const ChildCost cost = CostInChild([&] { ReadProfile(path, "default"); });
    EXPECT_TRUE(cost.ended) << text.substr(0, 30);
    EXPECT_EQ(cost.refusal.rfind(path + ":", 0), 0u) << cost.refusal;
    EXPECT_LT(cost.refusal.size(), 390u) << text.substr(0, 30);
    EXPECT_LT(cost.cpu_s, 5 * kTimeAllowance) << text.substr(0, 30);
    EXPECT_LT(cost.memory_mib, 100 * kMemoryAllowance) << text.substr(0, 30);
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace diptych
