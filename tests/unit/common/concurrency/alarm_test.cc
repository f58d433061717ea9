#include "common/concurrency/alarm.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Rings that have been, and waiting for so many.
class Rings {
 public:
  void Add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool Reach(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] { return count_ >= count; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

TEST(Alarm, RingsOnceAndNotBeforeItsTime) {
  Rings rings;
  Alarm alarm([&] { rings.Add(); });
  const auto when = steady_clock::now() + milliseconds(30);
  alarm.RingAt(when);
  ASSERT_TRUE(rings.Reach(1));
  EXPECT_GE(steady_clock::now(), when);
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(rings.count(), 1);
  alarm.RingAt(steady_clock::now());
  EXPECT_TRUE(rings.Reach(2));
}

TEST(Alarm, IsMovedAndTurnedOff) {
  Rings rings;
  Alarm alarm([&] { rings.Add(); });
  const auto now = steady_clock::now();
  alarm.RingAt(now + seconds(3600));
  alarm.RingBy(now + seconds(7200));
  alarm.RingBy(now);
  ASSERT_TRUE(rings.Reach(1)) << "the earlier one counts";

  alarm.RingAt(steady_clock::now() + milliseconds(30));
  alarm.RingAt(now + seconds(3600));
  std::this_thread::sleep_for(milliseconds(60));
  EXPECT_EQ(rings.count(), 1) << "the last one counts";

  alarm.RingAt(steady_clock::now() + milliseconds(30));
  alarm.TurnOff();
  std::this_thread::sleep_for(milliseconds(60));
  EXPECT_EQ(rings.count(), 1);
}

TEST(Alarm, MayBeSetByItsOwnRing) {
  Rings rings;
  std::promise<Alarm*> made;
  std::shared_future<Alarm*> itself(made.get_future());
  Alarm alarm([&] {
    rings.Add();
    if (rings.count() < 5) itself.get()->RingAt(steady_clock::now());
  });
  made.set_value(&alarm);
  alarm.RingAt(steady_clock::now());
  EXPECT_TRUE(rings.Reach(5));
}

TEST(Alarm, EndsAtOnceHoweverLongItSleepsAndAfterARingThatIsUnderWay) {
  const auto start = steady_clock::now();
  {
    Alarm alarm([] {});
    alarm.RingAt(start + seconds(3600));
  }
  EXPECT_LT(steady_clock::now() - start, seconds(600));

  std::promise<void> entered;
  std::atomic<bool> left = false;
  {
    Alarm alarm([&] {
      entered.set_value();
      std::this_thread::sleep_for(milliseconds(30));
      left = true;
    });
    alarm.RingAt(start);
    entered.get_future().wait();
  }
  EXPECT_TRUE(left);
}

}  // namespace
}  // namespace diptych
