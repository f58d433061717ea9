#include "common/daemon/daemon_stop.h"

#include <signal.h>
#include <unistd.h>

#include <sstream>

#include "gtest/gtest.h"

namespace diptych {
namespace {

// Whoever hears SERVING may ask for the end before the daemon waits for that.
TEST(DaemonStop, ARequestAfterTheLoadIsKeptUntilSomebodyWaits) {
  for (const int number : {SIGTERM, SIGINT}) {
    std::ostringstream lines;
    const auto log = MakeStreamLogger(lines, LogLevel::kInfo);
    DaemonStop stop(*log);
    stop.Loaded();
    kill(getpid(), number);
    stop.Wait();
    EXPECT_EQ(lines.str(), "");
  }
}

TEST(DaemonStopDeathTest, ARequestWhileLoadingEndsTheProcessAtOnce) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run = [] {
    const auto log = MakeLogger("test", LogLevel::kInfo);
    const DaemonStop stop(*log);
    kill(getpid(), SIGTERM);
    for (;;) pause();
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "stopped while loading");
}

TEST(AnnounceAddress, IsOneLineOfJson) {
  testing::internal::CaptureStdout();
  AnnounceAddress({"127.0.0.1", 7872});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "{\"listening\":\"127.0.0.1:7872\"}\n");
}

}  // namespace
}  // namespace diptych
