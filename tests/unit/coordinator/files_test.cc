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

}  // namespace
}  // namespace diptych
