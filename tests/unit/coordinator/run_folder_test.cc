#include "coordinator/run_folder.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// Runs with a temporary folder of the system of their own.
class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() { setenv("TMPDIR", temporary_.path.c_str(), 1); }
  ~RunFolderTest() override { before_.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before_.c_str(), 1); }

  // A run that is in the midst of its work.
  struct Run {
    pid_t pid = 0;
    fs::path folder;
    void Kill() {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  };
  static Run StartRun() {
    Run run;
    int told[2];
    EXPECT_EQ(pipe(told), 0);
    run.pid = fork();
    if (run.pid == 0) {
      const RunFolder folder;
      fs::create_directory(folder.path() / "state");
      std::ofstream(folder.path() / "state" / "queue") << "jobs";
      const std::string path = folder.path();
      if (write(told[1], path.data(), path.size()) < 0) _exit(1);
      for (;;) pause();
    }
    close(told[1]);
    char path[4096];
    const ssize_t size = read(told[0], path, sizeof path);
    close(told[0]);
    run.folder = std::string(path, size > 0 ? static_cast<size_t>(size) : 0);
    return run;
  }

  const std::string before_ = getenv("TMPDIR") == nullptr ? "" : getenv("TMPDIR");
  TestFolder temporary_;
};

TEST_F(RunFolderTest, NamesTheTmpdirThatIsNotThere) {
  setenv("TMPDIR", "/no/such/folder", 1);
  try {
    const RunFolder folder;
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("TMPDIR=/no/such/folder"), std::string::npos) << error.what();
  }
}

TEST_F(RunFolderTest, IsForItsUserAloneAndGoesWithItsContent) {
  fs::path path;
  {
    const RunFolder folder;
    path = folder.path();
    EXPECT_EQ(path.parent_path(), temporary_.path);
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    std::ofstream(path / "log") << "line";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(RunFolderTest, RemovesTheFolderOfARunThatWasKilled) {
  Run run = StartRun();
  run.Kill();
  ASSERT_TRUE(fs::exists(run.folder / "state" / "queue"));
  const RunFolder next;
  EXPECT_FALSE(fs::exists(run.folder));
  EXPECT_TRUE(fs::exists(next.path()));
}

TEST_F(RunFolderTest, LeavesTheFolderOfARunThatLives) {
  Run run = StartRun();
  { const RunFolder next; }
  EXPECT_TRUE(fs::exists(run.folder / "state" / "queue"));
  run.Kill();
}

TEST_F(RunFolderTest, LeavesAFolderWhoseDaemonOutlivesItsRun) {
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t run = fork();
  if (run == 0) {
    const RunFolder folder;
    const pid_t daemon = fork();
    if (daemon == 0) {
      execl("/bin/sleep", "sleep", "60", nullptr);
      _exit(1);
    }
    const std::string text = std::to_string(daemon) + " " + folder.path().string();
    _exit(write(told[1], text.data(), text.size()) < 0 ? 1 : 0);  // no destructor, as after a kill
  }
  waitpid(run, nullptr, 0);
  close(told[1]);
  char text[4096];
  const ssize_t size = read(told[0], text, sizeof text);
  close(told[0]);
  ASSERT_GT(size, 0);
  const std::string words(text, static_cast<size_t>(size));
  { const RunFolder next; }
  EXPECT_TRUE(fs::exists(words.substr(words.find(' ') + 1)));
  kill(std::stoi(words), SIGKILL);
}

TEST_F(RunFolderTest, FollowsNoLinks) {
  const TestFolder treasure;
  std::ofstream(treasure / "kept") << "gold";
  fs::create_directory_symlink(treasure.path, temporary_.path / "diptych-run-linked");
  Run run = StartRun();
  fs::create_directory_symlink(treasure.path, run.folder / "link");
  run.Kill();
  const RunFolder next;
  EXPECT_FALSE(fs::exists(run.folder));
  EXPECT_TRUE(fs::exists(treasure / "kept"));
  EXPECT_TRUE(fs::is_symlink(temporary_.path / "diptych-run-linked"));
}

TEST_F(RunFolderTest, LeavesWhatIsNotItsOwn) {
  fs::create_directory(temporary_.path / "diptych-other");
  std::ofstream(temporary_.path / "diptych-run-file") << "a file";
  const fs::path foreign = temporary_.path / "diptych-run-foreign";
  fs::create_directory(foreign);
  const bool is_foreign = chown(foreign.c_str(), geteuid() + 1, getegid()) == 0;  // root alone may give away
  { const RunFolder next; }
  EXPECT_TRUE(fs::exists(temporary_.path / "diptych-other"));
  EXPECT_TRUE(fs::exists(temporary_.path / "diptych-run-file"));
  EXPECT_EQ(fs::exists(foreign), is_foreign);
}

}  // namespace
}  // namespace diptych
