#include "common/source_files/read_file.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

class ReadFileTest : public testing::Test {
 protected:
  static std::string RefusalOf(const fs::path& path) {
    try {
      ReadWholeFile(path.string(), 100);
      return "read";
    } catch (const Error& error) {
      return std::string(error.what()).substr(path.string().size());
    }
  }

  const TestFolder own_;  // of this test alone: ctest runs several at once
  const fs::path folder_ = own_.path;
};

TEST_F(ReadFileTest, TakesOrdinaryFilesUpToTheLimit) {
  std::ofstream(folder_ / "a") << std::string(100, 'x');
  EXPECT_EQ(ReadWholeFile((folder_ / "a").string(), 100), std::string(100, 'x'));
  std::ofstream(folder_ / "b") << std::string(101, 'x');
  EXPECT_EQ(RefusalOf(folder_ / "b"), ": has 101 bytes, expected a text file of at most 100 bytes");
  std::ofstream(folder_ / "sparse").close();
  fs::resize_file(folder_ / "sparse", uint64_t{1} << 40);
  EXPECT_EQ(RefusalOf(folder_ / "sparse"), ": has 1099511627776 bytes, expected a text file of at most 100 bytes");
}

// At once: no wait for a writer, no memory for what has no end.
TEST_F(ReadFileTest, SaysWhatIsNoOrdinaryFile) {
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", folder_ / "zero");
  fs::create_symlink("nowhere", folder_ / "lost");
  EXPECT_EQ(RefusalOf(folder_ / "fifo"), ": a FIFO, expected an ordinary file");
  EXPECT_EQ(RefusalOf(folder_ / "zero"), ": a device, expected an ordinary file");
  EXPECT_EQ(RefusalOf(folder_), ": a folder, expected a file");
  EXPECT_EQ(RefusalOf(folder_ / "none"), ": No such file or directory");
  EXPECT_EQ(RefusalOf(folder_ / "lost").rfind(": a link to nowhere, which is not there", 0), 0u);
}

}  // namespace
}  // namespace diptych
