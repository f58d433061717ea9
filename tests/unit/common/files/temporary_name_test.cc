#include "common/files/temporary_name.h"

#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace diptych {
namespace {

constexpr size_t kEnding = 18;  // ".part-" and what chance gives

TEST(TemporaryName, StandsBesideTheFile) {
  const std::string name = TemporaryBeside("/tmp/a.png");
  EXPECT_EQ(name.rfind("/tmp/a.png.part-", 0), 0u) << name;
  EXPECT_EQ(name.size(), std::string("/tmp/a.png").size() + kEnding);
  EXPECT_EQ(TemporaryBeside("a.png").string().rfind("a.png.part-", 0), 0u);
}

TEST(TemporaryName, IsNoLongerThanANameMayBe) {
  const size_t limit = LongestFileName("/tmp");
  ASSERT_GE(limit, 100u);
  const std::string name = TemporaryBeside("/tmp/" + std::string(limit, 'x')).filename();
  EXPECT_EQ(name.size(), limit);
  EXPECT_EQ(name.find(".part-"), limit - kEnding);
}

TEST(TemporaryName, CannotBeForetold) {
  std::set<std::string> names;
  for (int i = 0; i < 1000; ++i) names.insert(TemporaryBeside("a.png"));
  EXPECT_EQ(names.size(), 1000u);
}

TEST(TemporaryName, IsThatOfANewFile) {
  const std::string folder = testing::TempDir();
  const NewFile made = MakeTemporaryBeside(folder + "a.png", 0600);
  ASSERT_GE(made.fd, 0);
  struct stat facts {};
  ASSERT_EQ(fstat(made.fd, &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_EQ(facts.st_size, 0);
  close(made.fd);
  unlink(made.path.c_str());
  EXPECT_EQ(MakeTemporaryBeside(folder + "not there/a.png", 0600).fd, -1);
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
