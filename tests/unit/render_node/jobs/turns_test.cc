#include "render_node/jobs/turns.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

// One takes the lock again as soon as it has given it back, for a while each time; the other comes now and then.
TEST(Turns, LetNobodyPassWhoWaits) {
  Turns turns;
  std::atomic<bool> stop = false;
  std::atomic<int> taken = 0;
  std::thread greedy([&] {
    while (!stop) {
      const std::lock_guard turn(turns);
      ++taken;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::vector<int> passed;  // turns of the other while this one waited
  for (int i = 0; i < 51; ++i) {
    const int before = taken;
    const std::lock_guard turn(turns);
    passed.push_back(taken - before);
  }
  stop = true;
  greedy.join();
  std::sort(passed.begin(), passed.end());
  EXPECT_LE(passed[25], 2) << "the one under way, and one that came before";
}

}  // namespace
}  // namespace diptych
