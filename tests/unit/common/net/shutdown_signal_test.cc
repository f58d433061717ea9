#include "common/net/shutdown_signal.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <thread>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ShutdownSignal, FirstSignalIsARequest) {
  for (const int number : {SIGTERM, SIGINT}) {
    std::promise<void> asked;
    const ShutdownSignal signal([&] { asked.set_value(); });
    kill(getpid(), number);
    EXPECT_EQ(asked.get_future().wait_for(seconds(10)), std::future_status::ready);
  }
}

// As timeout(1) sends them: to the process, and to its group.
TEST(ShutdownSignal, TwoAtOnceAreOneRequest) {
  int requests = 0;
  std::promise<void> asked;
  {
    const ShutdownSignal signal([&] {
      ++requests;
      asked.set_value();
    });
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
    asked.get_future().wait();
  }
  EXPECT_EQ(requests, 1);
}

// OpenBLAS starts threads before main. The kernel gives a signal to any thread that takes it, and theirs do.
TEST(ShutdownSignal, IsHeardWhenThreadsWereThereBefore) {
  std::promise<void> over;
  std::thread older([&] { over.get_future().wait(); });
  std::promise<void> asked;
  {
    const ShutdownSignal signal([&] { asked.set_value(); });
    kill(getpid(), SIGTERM);
    EXPECT_EQ(asked.get_future().wait_for(seconds(10)), std::future_status::ready);
  }
  over.set_value();
  older.join();
}

TEST(ShutdownSignal, EndsWithoutASignal) {
  bool asked = false;
  {
    const ShutdownSignal signal([&] { asked = true; });
  }
  EXPECT_FALSE(asked);
}

TEST(ShutdownSignalDeathTest, SecondSignalHasItsReactionBeforeTheEnd) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        std::promise<void> asked;
        const ShutdownSignal signal([&] { asked.set_value(); }, [] { (void)!write(STDERR_FILENO, "swept", 5); });
        kill(getpid(), SIGTERM);
        asked.get_future().wait();
        std::this_thread::sleep_for(milliseconds(150));
        kill(getpid(), SIGINT);
        for (;;) pause();
      },
      ::testing::ExitedWithCode(128 + SIGINT), "swept");
}

TEST(ShutdownSignalDeathTest, SecondSignalEndsTheProcessAtOnce) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        std::promise<void> asked;
        const ShutdownSignal signal([&] { asked.set_value(); });
        kill(getpid(), SIGTERM);
        asked.get_future().wait();
        std::this_thread::sleep_for(milliseconds(150));
        kill(getpid(), SIGINT);
        for (;;) pause();
      },
      ::testing::ExitedWithCode(128 + SIGINT), "");
}

}  // namespace
}  // namespace diptych
