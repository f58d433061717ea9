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

TEST(AnnounceAddresses, IsOneLineOfJson) {
  const auto said = [](const std::vector<Address>& addresses) {
    testing::internal::CaptureStdout();
    AnnounceAddresses(addresses);
    return testing::internal::GetCapturedStdout();
  };
  const Address v4{"127.0.0.1", 7872}, v6{"::1", 7872}, other{"10.0.0.1", 7872};
  EXPECT_EQ(said({v4}), "{\"listening\":\"127.0.0.1:7872\"}\n");
  EXPECT_EQ(said({v4, v6}), "{\"listening\":\"127.0.0.1:7872\",\"also\":[\"[::1]:7872\"]}\n");
  EXPECT_EQ(said({v4, v6, other}), "{\"listening\":\"127.0.0.1:7872\",\"also\":[\"[::1]:7872\",\"10.0.0.1:7872\"]}\n");
}

}  // namespace
}  // namespace diptych
