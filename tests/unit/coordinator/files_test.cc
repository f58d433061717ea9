#include "coordinator/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "common/error/error.h"
#include "coordinator/input.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

size_t FilesIn(const std::filesystem::path& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

// 255 bytes, bytes that are no UTF-8, a newline and a leading dash: the file system takes them all.
TEST(Files, TakeEveryNameThatTheFileSystemTakes) {
  const TestFolder folder;
  for (const std::string& name :
       {std::string(255, 'x'), std::string(251, 'y') + ".png", std::string("\xff\xfe.png"),
        std::string("two\nlines.png"), std::string("-v.png"), std::string("\xe5\x8f\xa5.png")}) {
    PrepareToWritePicture(folder / name);
    EXPECT_EQ(FilesIn(folder.path), 0u) << name;
    WriteFileAtomically(folder / name, "bytes");
    EXPECT_EQ(ReadBoundedFile(folder / name, 10), "bytes") << name;
    EXPECT_EQ(FilesIn(folder.path), 1u) << name;
    std::filesystem::remove(folder / name);
  }
}

TEST(Files, FindsOutBeforeTheWorkThatANameIsTooLong) {
  const TestFolder folder;
  EXPECT_THROW(PrepareToWritePicture(folder / (std::string(252, 'y') + ".png")), Error);
  EXPECT_EQ(FilesIn(folder.path), 0u);
}

TEST(Files, DoNotWaitForSomebodyWhoReadsAPipe) {
  const TestFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(WriteFileAtomically(pipe, "bytes"), Error);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  WriteFileAtomically(pipe, "bytes");
  char bytes[8];
  EXPECT_EQ(read(reader, bytes, sizeof bytes), 5);
  close(reader);
}

// A folder that everybody may write to, with a link that somebody else put where the output shall be.
class PlantedLink : public testing::Test {
 protected:
  static constexpr uid_t kOther = 65534;

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can make links of somebody else";
    victim_ = folder_ / "victim";
    shared_ = folder_ / "shared";
    WriteFileAtomically(victim_, "precious");
    ASSERT_EQ(mkdir(shared_.c_str(), 0700), 0);
    ASSERT_EQ(chmod(shared_.c_str(), 01777), 0);
  }
  void Plant(const std::string& name, const std::string& to) {
    ASSERT_EQ(symlink(to.c_str(), name.c_str()), 0);
    ASSERT_EQ(lchown(name.c_str(), kOther, kOther), 0);
  }

  const TestFolder folder_;
  std::string victim_, shared_;
};

TEST_F(PlantedLink, OfAnotherUserIsNotWrittenThrough) {
  const std::string out = shared_ + "/out.png", dangling = shared_ + "/dangling.png";
  Plant(out, victim_);
  Plant(dangling, folder_ / "new");
  for (const std::string& link : {out, dangling}) {
    EXPECT_THROW(WriteFileAtomically(link, "bytes"), Error) << link;
    EXPECT_THROW(PrepareToWrite(link), Error) << link;
    EXPECT_THROW(PrepareToWritePicture(link), Error) << link;
  }
  EXPECT_FALSE(WriteNewFileAtomically(out, "bytes")) << "there is something";
  EXPECT_EQ(ReadBoundedFile(victim_, 100), "precious");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new"));
  EXPECT_EQ(FilesIn(shared_), 2u) << "nothing is left beside them";
}

TEST_F(PlantedLink, OfOurOwnIsWrittenThrough) {
  const std::string link = shared_ + "/mine.png";
  ASSERT_EQ(symlink(victim_.c_str(), link.c_str()), 0);
  WriteFileAtomically(link, "bytes");
  EXPECT_EQ(ReadBoundedFile(victim_, 100), "bytes");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

// The name that earlier versions had, and whatever else somebody may guess.
TEST(Files, WhatStandsAtAGuessedTemporaryNameIsLeftAlone) {
  const TestFolder folder;
  const std::string victim = folder / "victim";
  WriteFileAtomically(victim, "precious");
  for (const char* ending : {".part", ".part-", ".part-000000000000", ".tmp"}) {
    ASSERT_EQ(symlink(victim.c_str(), std::string(folder / "out.png").append(ending).c_str()), 0);
  }
  WriteFileAtomically(folder / "out.png", "bytes");
  EXPECT_TRUE(WriteNewFileAtomically(folder / "new.png", "bytes"));
  EXPECT_EQ(ReadBoundedFile(victim, 100), "precious");
  EXPECT_EQ(ReadBoundedFile(folder / "out.png", 100), "bytes");
  EXPECT_FALSE(std::filesystem::is_symlink(folder / "out.png"));
  EXPECT_EQ(FilesIn(folder.path), 7u);
}

}  // namespace
}  // namespace diptych
