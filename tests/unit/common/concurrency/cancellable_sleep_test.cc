#include "common/concurrency/cancellable_sleep.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

TEST(SleepUnlessCancelled, SleepsForAsLongAsItIsTold) {
  const auto start = steady_clock::now();
  EXPECT_TRUE(SleepUnlessCancelled(milliseconds(30), CancelToken()));
  EXPECT_GE(steady_clock::now() - start, milliseconds(30));
}

TEST(SleepUnlessCancelled, EndsWhenItIsCancelled) {
  const CancelToken cancel;
  const auto start = steady_clock::now();
  std::jthread canceller([&] {
    std::this_thread::sleep_for(milliseconds(10));
    cancel.Cancel();
  });
  EXPECT_FALSE(SleepUnlessCancelled(seconds(3600), cancel));
  EXPECT_FALSE(SleepUnlessCancelled(seconds(3600), cancel)) << "it was cancelled before";
  EXPECT_LT(steady_clock::now() - start, seconds(600));
}

}  // namespace
}  // namespace diptych
