#include "common/daemon/service_manager.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/notify_socket.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class ServiceReporterTest : public testing::Test {
 protected:
  ServiceReporterTest() {
    setenv("NOTIFY_SOCKET", socket_.path().c_str(), 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
  }
  ~ServiceReporterTest() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }

  NotifySocket socket_;
  std::ostringstream lines_;
  std::shared_ptr<Logger> log_ = MakeStreamLogger(lines_, LogLevel::kInfo);
};

TEST_F(ServiceReporterTest, SaysReadyThenEveryNewStatusOnce) {
  std::atomic<bool> later = false;
  std::atomic<int> asked = 0;
  ServiceReporter reporter(*log_, {.status =
                                       [&] {
                                         ++asked;
                                         return std::string(later ? "painting\nREADY=1" : "idle");
                                       },
                                   .is_alive = [] { return true; }});
  ASSERT_TRUE(socket_.Await("STATUS=idle"));
  EXPECT_EQ(socket_.Drain().front(), "READY=1");
  while (asked < 2) std::this_thread::sleep_for(milliseconds(5));  // it is looked at again, and nothing is new
  later = true;
  ASSERT_TRUE(socket_.Await("STATUS=painting READY=1")) << "one line, whatever the text";
  EXPECT_EQ(socket_.Count("STATUS=idle"), 1);
  EXPECT_EQ(socket_.Count("WATCHDOG=1"), 0) << "nobody asked for it";
}

TEST_F(ServiceReporterTest, SaysAStatusAtMostOnceASecond) {
  const auto begin = steady_clock::now();
  std::atomic<int> count = 0;
  ServiceReporter reporter(*log_, {.status = [&] { return std::to_string(++count); }, .is_alive = [] { return true; }});
  ASSERT_TRUE(socket_.Await("STATUS=3"));
  EXPECT_GE(steady_clock::now() - begin, milliseconds(1900));
}

TEST_F(ServiceReporterTest, GivesASignOfLifeAsOftenAsTheDaemonIsSeenToBeAlive) {
  setenv("WATCHDOG_USEC", "40000", 1);
  std::atomic<int> asked = 0, alive = 0, dead = 0;
  {
    ServiceReporter reporter(*log_, {.status = [] { return std::string("idle"); },
                                     .is_alive =
                                         [&] {
                                           const int turn = asked++ % 3;
                                           ++(turn == 0 ? alive : dead);
                                           if (turn == 1) throw std::runtime_error("the store is gone");
                                           return turn == 0;
                                         }});
    while (dead < 4) std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(socket_.Count("WATCHDOG=1"), alive);
}

TEST_F(ServiceReporterTest, ADaemonThatHangsGivesNoSign) {
  setenv("WATCHDOG_USEC", "20000", 1);
  std::mutex lock;
  std::atomic<int> asked = 0;
  ServiceReporter reporter(*log_, {.status = [] { return std::string("idle"); },
                                   .is_alive =
                                       [&] {
                                         ++asked;
                                         const std::lock_guard taken(lock);
                                         return true;
                                       }});
  ASSERT_TRUE(socket_.Await("WATCHDOG=1"));
  std::unique_lock held(lock);
  const int before = asked;
  while (asked == before) std::this_thread::sleep_for(milliseconds(1));  // it waits for the lock now
  const int64_t signs = socket_.Count("WATCHDOG=1");
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(socket_.Count("WATCHDOG=1"), signs);
  held.unlock();
}

TEST_F(ServiceReporterTest, SaysNoStatusAfterStopping) {
  std::atomic<int> count = 0;
  {
    ServiceReporter reporter(*log_,
                             {.status = [&] { return std::to_string(++count); }, .is_alive = [] { return true; }});
    ASSERT_TRUE(socket_.Await("STATUS=1"));
    reporter.Stopping();
    std::this_thread::sleep_for(milliseconds(1200));
  }
  EXPECT_EQ(socket_.Drain().back(), "STOPPING=1\nSTATUS=stopping");
}

TEST_F(ServiceReporterTest, DoesNothingWithoutASocket) {
  unsetenv("NOTIFY_SOCKET");
  setenv("WATCHDOG_USEC", "20000", 1);
  std::atomic<int> asked = 0;
  {
    ServiceReporter reporter(*log_, {.status =
                                         [&] {
                                           ++asked;
                                           return std::string();
                                         },
                                     .is_alive = [&] { return ++asked > 0; }});
    reporter.Stopping();
    std::this_thread::sleep_for(milliseconds(100));
  }
  TellServiceManager("STATUS=nobody hears this");
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(socket_.Drain().empty());
  EXPECT_EQ(lines_.str(), "");
}

TEST_F(ServiceReporterTest, WarnsWhenTheSocketIsNotThere) {
  setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
  {
    ServiceReporter reporter(*log_, {.status = [] { return std::string(); }, .is_alive = [] { return true; }});
  }
  EXPECT_NE(lines_.str().find("the service manager does not hear that we are ready"), std::string::npos)
      << lines_.str();
}

}  // namespace
}  // namespace diptych
