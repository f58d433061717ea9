#include "encoder_node/service/turn_queue.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

TEST(TurnQueue, LetsOneWorkAtATime) {
  TurnQueue queue;
  std::atomic<int> working = 0, most = 0, done = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const TurnQueue::Turn turn = queue.Wait(CancelToken());
      most = std::max(most.load(), ++working);
      std::this_thread::sleep_for(milliseconds(2));
      --working;
      ++done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(done, 8);
}

TEST(TurnQueue, KeepsTheOrderOfArrivalAndDropsWhoeverGivesUp) {
  TurnQueue queue;
  std::optional<std::jthread> waiting[3];
  CancelToken tokens[3];
  std::mutex mutex;
  std::vector<int> order;
  std::atomic<int> gave_up = 0;
  {
    const TurnQueue::Turn turn = queue.Wait(CancelToken());
    for (int i = 0; i < 3; ++i) {
      waiting[i].emplace([&, i] {
        try {
          const TurnQueue::Turn mine = queue.Wait(tokens[i]);
          const std::lock_guard<std::mutex> lock(mutex);
          order.push_back(i);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kCancelled);
          ++gave_up;
        }
      });
      std::this_thread::sleep_for(milliseconds(50));  // so that they arrive in this order
    }
    tokens[1].Cancel();
    while (gave_up == 0) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_TRUE(order.empty());
  }
  for (auto& thread : waiting) thread.reset();
  EXPECT_EQ(order, (std::vector<int>{0, 2}));
}

}  // namespace
}  // namespace diptych
