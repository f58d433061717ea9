#include "common/net/poller.h"

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Poller, LooksUntilItFindsWhatItWaitsFor) {
  std::atomic<int> looks = 0;
  std::promise<void> third;
  {
    const Poller poller(
        [&] {
          if (++looks < 3) return false;
          third.set_value();
          return true;
        },
        milliseconds(1));
    ASSERT_EQ(third.get_future().wait_for(seconds(10)), std::future_status::ready);
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(looks, 3);
}

TEST(Poller, EndsAtOnceHoweverLongItsInterval) {
  const auto start = std::chrono::steady_clock::now();
  {
    const Poller poller([] { return false; }, seconds(60));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(30));
}

}  // namespace
}  // namespace diptych
