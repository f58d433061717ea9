#include "common/weights/mapped_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/source_files/files_read.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::ErrorOf;
using testing::TemporaryFolder;
using testing::WriteText;

std::string TextOf(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

TEST(MappedFile, ShowsTheFileAndIsNotedAsRead) {
  const TemporaryFolder folder;
  WriteText(folder / "a", "some bytes");
  WriteText(folder / "empty", "");
  FilesReadHere reading;
  const MappedFile file(folder / "a"), empty(folder / "empty");
  EXPECT_EQ(TextOf(file.bytes()), "some bytes");
  EXPECT_EQ(file.copied_because(), "");
  EXPECT_TRUE(empty.bytes().empty());
  ASSERT_EQ(reading.files().size(), 2u);
  EXPECT_EQ(reading.files()[0].path, folder / "a");
  EXPECT_EQ(reading.files()[0].facts, file.facts());
}

TEST(MappedFile, KeepsWhatWasOpenedWhenAnotherFileIsPutThere) {
  const TemporaryFolder folder;
  WriteText(folder / "a", "before");
  const MappedFile file(folder / "a");
  WriteText(folder / "b", "after!");
  fs::rename(folder / "b", folder / "a");
  EXPECT_EQ(TextOf(file.bytes()), "before");
  EXPECT_TRUE(file.FactsNow()->IsSameFile(file.facts()));
  EXPECT_FALSE(FactsOf(file.path())->IsSameFile(file.facts()));
}

TEST(MappedFile, ReadsTheFileAsItIsNow) {
  const TemporaryFolder folder;
  WriteText(folder / "a", "0123456789");
  const MappedFile file(folder / "a");
  std::vector<uint8_t> bytes(4);
  EXPECT_TRUE(file.ReadNow(3, bytes));
  EXPECT_EQ(TextOf(bytes), "3456");
  EXPECT_FALSE(file.ReadNow(8, bytes));
  fs::resize_file(folder / "a", 5);
  EXPECT_FALSE(file.ReadNow(3, bytes));
  EXPECT_NE(file.FactsNow(), file.facts());
}

TEST(MappedFile, CallsALinkThatPointsNowhereOne) {
  const TemporaryFolder folder;
  fs::create_symlink("../blobs/0000", folder / "link");
  EXPECT_EQ(ErrorOf([&] { MappedFile file(folder / "link"); }),
            (folder / "link") +
                ": a link to ../blobs/0000, which is not there; copy what links point to, too (cp -rL, rsync -L)");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(MappedFileDeathTest, TouchingWhatWasCutOffNamesTheFileAndEndsAsFailed) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const TemporaryFolder folder;
  const auto run = [&] {
    WriteText(folder / "first", std::string(10000, 'x'));
    WriteText(folder / "second", std::string(100000, 'x'));
    const MappedFile first(folder / "first"), second(folder / "second");
    fs::resize_file(folder / "second", 10);
    volatile uint8_t touched = second.bytes()[90000];
    (void)touched;
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(1), "second: the file was cut short");
}
#endif

}  // namespace
}  // namespace diptych
