#include "common/file_names/temporary_name.h"

#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(TemporaryName, StandsBesideTheFile) {
  EXPECT_EQ(TemporaryBeside("/tmp/a.png"), "/tmp/a.png.part-" + std::to_string(getpid()));
  EXPECT_EQ(TemporaryBeside("a.png"), "a.png.part-" + std::to_string(getpid()));
}

TEST(TemporaryName, IsNoLongerThanANameMayBe) {
  const size_t limit = LongestFileName("/tmp");
  ASSERT_GE(limit, 100u);
  const std::string name = TemporaryBeside("/tmp/" + std::string(limit, 'x')).filename();
  EXPECT_EQ(name.size(), limit);
  EXPECT_TRUE(name.ends_with(".part-" + std::to_string(getpid())));
}

TEST(TemporaryName, AsksTheNearestFolderThatIsThere) {
  EXPECT_EQ(LongestFileName("/tmp/not there/at all"), LongestFileName("/tmp"));
  EXPECT_EQ(LongestFileName(""), LongestFileName("."));
  EXPECT_GE(LongestFileName("not there"), 14u);
}

TEST(CutText, KeepsCharactersWhole) {
  EXPECT_EQ(CutText("abc", 3), "abc");
  EXPECT_EQ(CutText("abc", 2), "ab");
  EXPECT_EQ(CutText("a\xC3\xA9", 2), "a");
  EXPECT_EQ(CutText("\xF0\x9F\x9A\x80", 3), "");
  EXPECT_EQ(CutText(std::string(9, '\x80'), 6).size(), 2u);  // no UTF-8: cut all the same
}

}  // namespace
}  // namespace diptych
