#include "common/files/unfinished_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "common/files/transfer.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

class UnfinishedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "unfinished.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.insert(entry.path().filename());
    return names;
  }
  static std::string Text(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
};

TEST_F(UnfinishedFileTest, HasItsNameWhenItIsWhole) {
  UnfinishedFile file(folder_ / "a");
  file.Write("one, ");
  ASSERT_EQ(Names().size(), 1u);
  EXPECT_TRUE(IsUnfinishedName(*Names().begin())) << *Names().begin();
  file.Write("two");
  file.Sync();
  file.Rename(folder_ / "a");
  EXPECT_EQ(Names(), std::set<std::string>{"a"});
  EXPECT_EQ(Text(folder_ / "a"), "one, two");
  struct stat facts {};
  ASSERT_EQ(stat((folder_ / "a").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(UnfinishedFileTest, LeavesNothingWithoutAName) {
  { UnfinishedFile(folder_ / "a").Write("one"); }
  EXPECT_TRUE(Names().empty());
}

TEST_F(UnfinishedFileTest, ReplacesOrLeavesTheFileThatIsThere) {
  std::ofstream(folder_ / "a") << "old";
  {
    UnfinishedFile file(folder_ / "a");
    file.Write("new");
    EXPECT_FALSE(file.RenameToNew(folder_ / "a"));
    EXPECT_EQ(Text(folder_ / "a"), "old");
    EXPECT_TRUE(file.RenameToNew(folder_ / "b"));
  }
  EXPECT_EQ(Names(), (std::set<std::string>{"a", "b"}));
  UnfinishedFile file(folder_ / "a");
  file.Write("newer");
  file.Rename(folder_ / "a");
  EXPECT_EQ(Text(folder_ / "a"), "newer");
  EXPECT_EQ(Text(folder_ / "b"), "new");
}

TEST_F(UnfinishedFileTest, SaysWhatFailedAndWhy) {
  try {
    UnfinishedFile(folder_ / "missing" / "a");
    FAIL() << "a file in a folder that is not there";
  } catch (const FileError& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_EQ(error.error_number, ENOENT);
    EXPECT_EQ(std::string(error.what()),
              "cannot create a file in " + (folder_ / "missing").string() + ": No such file or directory");
  }
  EXPECT_EQ(FileError("x", ENOSPC).code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(FileError("x", EROFS).code(), ErrorCode::kUnavailable);
  EXPECT_EQ(FileError("x", ELOOP).code(), ErrorCode::kDataLoss);
  EXPECT_EQ(FileError("x", EIO).code(), ErrorCode::kInternal);
}

TEST_F(UnfinishedFileTest, KnowsTheNamesOfTheVersionsBefore) {
  EXPECT_TRUE(IsUnfinishedName("0123abcd.unfinished.Ab3dEf"));
  EXPECT_FALSE(IsUnfinishedName("0123abcd"));
}

TEST(Transfer, ReadsToTheEndOrAsMuchAsIsWanted) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const FileDescriptor out(ends[0]);
  FileDescriptor in(ends[1]);
  EXPECT_EQ(WriteAll(in.get(), "abcdef", 6), 0);
  in = FileDescriptor();
  char bytes[8] = {};
  EXPECT_EQ(ReadAll(out.get(), bytes, 4), 4);
  EXPECT_EQ(ReadAll(out.get(), bytes + 4, 4), 2);
  EXPECT_STREQ(bytes, "abcdef");
  EXPECT_EQ(ReadAll(-1, bytes, 1), -1);
  EXPECT_EQ(WriteAll(-1, bytes, 1), EBADF);
}

}  // namespace
}  // namespace diptych
