#include "common/config/home_path.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

class HomePath : public testing::Test {
 protected:
  HomePath() { setenv("HOME", "/home/somebody", 1); }
  ~HomePath() override { before_.empty() ? unsetenv("HOME") : setenv("HOME", before_.c_str(), 1); }

  static std::string RefusalOf(const std::string& path) {
    try {
      return "no refusal, but " + ExpandHome(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
  }

 private:
  const std::string before_ = getenv("HOME") == nullptr ? "" : getenv("HOME");
};

TEST_F(HomePath, BeginsAtTheHomeFolder) {
  EXPECT_EQ(ExpandHome("~"), "/home/somebody");
  EXPECT_EQ(ExpandHome("~/"), "/home/somebody/");
  EXPECT_EQ(ExpandHome("~/a/~b"), "/home/somebody/a/~b");
  EXPECT_EQ(ExpandHome("~//a/"), "/home/somebody/a/");
}

TEST_F(HomePath, LeavesEveryOtherPathAsItStands) {
  for (const char* path : {"", "-", "a", "a~", "./~", "./~/a", "/~", "a/~/b", "\\~", "$5.png", "$", "none"}) {
    EXPECT_EQ(ExpandHome(path), path);
  }
}

TEST_F(HomePath, OfAnotherUserIsInTheUserDatabase) {
  const passwd* entry = getpwuid(0);
  if (entry == nullptr) GTEST_SKIP() << "no entry for uid 0";
  const std::string name = entry->pw_name, home = entry->pw_dir;
  EXPECT_EQ(ExpandHome("~" + name), home);
  EXPECT_EQ(ExpandHome("~" + name + "/a"), home + (home == "/" ? "a" : "/a"));
  EXPECT_EQ(
      RefusalOf("~no-such-user/a"),
      "\"~no-such-user/a\": there is no user \"no-such-user\" whose home folder ~no-such-user could be; a file of "
      "that name is written ./~no-such-user/a");
}

TEST_F(HomePath, IsInTheUserDatabaseWhereTheEnvironmentNamesNone) {
  const passwd* entry = getpwuid(getuid());
  for (const char* home : {"", "relative"}) {
    setenv("HOME", home, 1);
    if (entry != nullptr) {
      EXPECT_EQ(ExpandHome("~/a"), (std::filesystem::path(entry->pw_dir) / "a").string());
    } else {
      EXPECT_NE(RefusalOf("~/a").find("HOME is not set"), std::string::npos);
    }
  }
}

TEST_F(HomePath, RefusesVariablesThatNobodyLooksUp) {
  for (const char* path : {"$HOME/a", "${HOME}/a", "$XDG_DATA_HOME"}) {
    EXPECT_NE(RefusalOf(path).find("variables are not looked up here; write ~/"), std::string::npos) << path;
  }
}

TEST_F(HomePath, SaysWhichPathAnAddressMeans) {
  EXPECT_EQ(RefusalOf("file:///models/z"), "\"file:///models/z\" is an address; write the path alone: /models/z");
  for (const char* address : {"file://localhost/a%20b/%c3%a9%", "FILE:///a%20b/%C3%A9%", "file:/a%20b/\u00e9%"}) {
    EXPECT_NE(RefusalOf(address).find(" write the path alone: /a b/\u00e9%"), std::string::npos) << RefusalOf(address);
  }
  for (const char* path : {"file", "file:", "file:a", "./file:/a", "files://a"}) EXPECT_EQ(ExpandHome(path), path);
}

}  // namespace
}  // namespace diptych
