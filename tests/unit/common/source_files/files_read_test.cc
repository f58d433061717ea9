#include "common/source_files/files_read.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <vector>

#include "common/source_files/read_file.h"
#include "tests/unit/common/weights/weights_support.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

using testing::ErrorOf;
using testing::TemporaryFolder;
using testing::WriteText;

std::vector<std::string> PathsOf(const FilesReadHere& reading) {
  std::vector<std::string> paths;
  for (const FileRead& file : reading.files()) paths.push_back(file.path);
  return paths;
}

TEST(FilesReadHere, NotesWhatIsReadWhileItLives) {
  const TemporaryFolder folder;
  const std::string a = folder / "a", b = folder / "b", c = folder / "c";
  for (const std::string& path : {a, b, c}) WriteText(path, "text of " + path);
  EXPECT_EQ(ReadWholeFile(a, 1000), "text of " + a);  // nobody listens
  FilesReadHere outer;
  ReadWholeFile(a, 1000);
  {
    FilesReadHere inner;
    ReadWholeFile(b, 1000);
    EXPECT_EQ(PathsOf(inner), std::vector<std::string>{b});
  }
  ReadWholeFile(c, 1000);
  EXPECT_EQ(PathsOf(outer), (std::vector<std::string>{a, b, c}));
  outer.ThrowIfChanged();
}

TEST(FilesReadHere, SeesEveryChangeSinceAFileWasRead) {
  const TemporaryFolder folder;
  const std::string path = folder / "config.json";
  const auto said_after = [&](auto&& change) {
    fs::remove(path);
    WriteText(path, "before");
    FilesReadHere reading;
    ReadWholeFile(path, 1000);
    change();
    return ErrorOf([&] { reading.ThrowIfChanged(); });
  };
  EXPECT_EQ(said_after([] {}), "");
  const std::string begin = path + ": was changed while the model was loaded (",
                    end = "); start again when it is whole";
  EXPECT_EQ(said_after([&] { WriteText(path, "after, longer"); }), begin + "it is 13 bytes long, not 6" + end);
  EXPECT_EQ(said_after([&] { fs::remove(path); }), begin + "it is gone" + end);
  EXPECT_EQ(said_after([&] {
              WriteText(folder / "new", "afterw");
              fs::rename(folder / "new", path);
            }),
            begin + "another file lies there" + end);
  EXPECT_EQ(said_after([&] {
              const timespec times[] = {{0, UTIME_OMIT}, {1, 0}};
              utimensat(AT_FDCWD, path.c_str(), times, 0);
            }),
            begin + "it was written to" + end);
}

TEST(ReadWholeFile, SaysWhatIsWrongWithAPath) {
  const TemporaryFolder folder;
  EXPECT_EQ(ErrorOf([&] { ReadWholeFile(folder / "absent", 10); }),
            (folder / "absent") + ": No such file or directory");
  fs::create_symlink("../blobs/0000", folder / "link");
  EXPECT_EQ(ErrorOf([&] { ReadWholeFile(folder / "link", 10); }),
            (folder / "link") +
                ": a link to ../blobs/0000, which is not there; copy what links point to, too (cp -rL, rsync -L)");
  EXPECT_EQ(ErrorOf([&] { ReadWholeFile(folder.path(), 10); }), folder.path() + ": a folder, expected a file");
  WriteText(folder / "long", "0123456789a");
  EXPECT_NE(ErrorOf([&] { ReadWholeFile(folder / "long", 10); }), "");
}

}  // namespace
}  // namespace diptych
