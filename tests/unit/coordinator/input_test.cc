#include "coordinator/input.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "common/concurrency/cancel_token.h"
#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/support/bytes_read.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

void Put(int fd, const std::string& text) {
  ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

Error ErrorOf(const std::string& file, size_t limit = 100, const InputSource& source = {}) {
  try {
    ReadInput(file, limit, source);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::kInternal, "none");
}

class InputTest : public testing::Test {
 protected:
  TestFolder folder_;
};

TEST_F(InputTest, ReadsAFile) {
  const std::string text = "a\0b\nc";
  std::ofstream(folder_ / "f") << text;
  EXPECT_EQ(ReadInput(folder_ / "f", 100), text);
  EXPECT_EQ(ReadInput(folder_ / "f", text.size()), text);
  std::ofstream(folder_ / "empty");
  EXPECT_EQ(ReadInput(folder_ / "empty", 0), "");
}

// As bash gives <(...), and as /dev/stdin is behind a pipe.
TEST_F(InputTest, ReadsAPipeByItsNumber) {
  for (const char* folder : {"/dev/fd/", "/proc/self/fd/"}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    std::thread writer([&] {
      Put(ends[1], "a red ");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      Put(ends[1], "star");
      close(ends[1]);
    });
    EXPECT_EQ(ReadInput(folder + std::to_string(ends[0]), 100), "a red star");
    writer.join();
    close(ends[0]);
  }
}

// A socket has no name to open it by; sshd and inetd give such.
TEST_F(InputTest, ReadsASocketByItsNumber) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Put(ends[1], "a red star");
  close(ends[1]);
  EXPECT_EQ(ReadInput("/dev/fd/" + std::to_string(ends[0]), 100), "a red star");
  close(ends[0]);
}

TEST_F(InputTest, WaitsForTheWriterOfAFifo) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    std::ofstream(fifo) << "a red star";
  });
  EXPECT_EQ(ReadInput(fifo, 100), "a red star");
  writer.join();
}

TEST_F(InputTest, StopsWaitingWhenThePauseThrows) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const CancelToken cancel;
  std::thread user([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancel.Cancel();
  });
  EXPECT_EQ(ErrorOf(fifo, 100, {.standard_input = 0, .pause = LeaveIfCancelled(cancel)}).code(), ErrorCode::kCancelled);
  user.join();
}

// poll() ends early then, and a pipe that nobody has opened to write looks like one that has ended.
TEST_F(InputTest, TakesASignalForNeitherTheEndNorAnError) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  struct sigaction heard = {}, former = {};
  heard.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGUSR1, &heard, &former), 0);
  const pthread_t reader = pthread_self();
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      pthread_kill(reader, SIGUSR1);
    }
    std::ofstream(fifo) << "a red star";
  });
  EXPECT_EQ(ReadInput(fifo, 100), "a red star");
  writer.join();
  sigaction(SIGUSR1, &former, nullptr);
}

TEST_F(InputTest, ReadsStandardInput) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Put(ends[1], "text");
  close(ends[1]);
  EXPECT_EQ(ReadInput("-", 100, {.standard_input = ends[0], .pause = {}}), "text");
  close(ends[0]);
  EXPECT_EQ(InputName("-"), "standard input");
  EXPECT_EQ(InputName("./-"), "./-");
}

TEST_F(InputTest, StopsAtTheLimit) {
  std::ofstream(folder_ / "f") << std::string(101, 'a');
  EXPECT_NE(std::string(ErrorOf(folder_ / "f").what()).find("longer than the limit of 100 bytes"), std::string::npos);
  EXPECT_EQ(ErrorOf("/dev/zero", 1 << 20).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(ReadInput("/dev/null", 0), "");
}

// A device has no end: what its first bytes tell is told before the rest is read.
TEST_F(InputTest, LooksAtTheHeadBeforeItReadsOn) {
  std::string begin;
  const InputHead zeros{16, [&](std::string_view bytes) {
                          begin = bytes;
                          throw Error(ErrorCode::kDataLoss, "only zeros");
                        }};
  std::ofstream(folder_ / "large") << std::string(50 << 20, '\0');
  for (const std::string& file : {std::string("/dev/zero"), std::string(folder_ / "large")}) {
    const int64_t before = BytesRead();
    EXPECT_THROW(ReadInput(file, size_t{1} << 30, {}, zeros), Error);
    EXPECT_LT(BytesRead() - before, 1 << 20) << file;
    EXPECT_GE(begin.size(), 16u);
  }

  const InputHead any{16, [&](std::string_view bytes) { begin = bytes; }};
  std::ofstream(folder_ / "short") << "abc";
  EXPECT_EQ(ReadInput(folder_ / "short", 100, {}, any), "abc");
  EXPECT_EQ(begin, "abc");
  EXPECT_EQ(ReadInput(folder_ / "large", size_t{50} << 20, {}, any).size(), size_t{50} << 20);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) {
      Put(ends[1], "x");
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    close(ends[1]);
  });
  EXPECT_EQ(ReadInput("/dev/fd/" + std::to_string(ends[0]), 100, {}, any), std::string(20, 'x'));
  EXPECT_GE(begin.size(), 16u) << "however the bytes come";
  writer.join();
  close(ends[0]);
}

TEST_F(InputTest, SaysWhatCannotBeRead) {
  EXPECT_EQ(ErrorOf(folder_ / "absent").code(), ErrorCode::kNotFound);
  EXPECT_EQ(std::string(ErrorOf(folder_.path.string()).what()), folder_.path.string() + " is a folder, not a file");
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) GTEST_SKIP() << "no pseudo terminals here";
  ASSERT_EQ(grantpt(terminal), 0);
  ASSERT_EQ(unlockpt(terminal), 0);
  const std::string name = ptsname(terminal);
  EXPECT_EQ(std::string(ErrorOf(name).what()), name + " is a terminal; give a file or a pipe");
  close(terminal);
}

TEST_F(InputTest, KnowsWhatMayBeReadOnceOnly) {
  std::ofstream(folder_ / "f") << "x";
  EXPECT_TRUE(IsOrdinaryFile(folder_ / "f"));
  EXPECT_FALSE(IsOrdinaryFile("-"));
  EXPECT_FALSE(IsOrdinaryFile("/dev/null"));
  EXPECT_FALSE(IsOrdinaryFile(folder_ / "absent"));
}

}  // namespace
}  // namespace diptych
