#include "encoder_node/service/turn_queue.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
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
      const TurnQueue::Turn turn = queue.Wait("one", CancelToken());
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
    const TurnQueue::Turn turn = queue.Wait("one", CancelToken());
    for (int i = 0; i < 3; ++i) {
      waiting[i].emplace([&, i] {
        try {
          const TurnQueue::Turn mine = queue.Wait("one", tokens[i]);
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

// A long work of `client`, in pieces of a millisecond, until `end` is set.
std::jthread LongWork(TurnQueue& queue, const std::string& client, const std::atomic<bool>& end,
                      std::atomic<int>& pieces) {
  return std::jthread([&queue, client, &end, &pieces] {
    TurnQueue::Turn turn = queue.Wait(client, CancelToken());
    while (!end) {
      std::this_thread::sleep_for(milliseconds(1));
      ++pieces;
      turn.LetOthersIn(CancelToken());
    }
  });
}

void AwaitMoreThan(const std::atomic<int>& count, int least) {
  while (count <= least) std::this_thread::sleep_for(milliseconds(1));
}

TEST(TurnQueue, AShortWorkOfAnotherClientComesInTheMiddleOfALongOne) {
  TurnQueue queue(milliseconds(5));
  std::atomic<bool> end = false;
  std::atomic<int> pieces = 0;
  const std::jthread long_work = LongWork(queue, "long", end, pieces);
  AwaitMoreThan(pieces, 0);
  for (int i = 0; i < 3; ++i) {
    const int before = pieces;
    {
      const TurnQueue::Turn turn = queue.Wait("short", CancelToken());  // else this would never end
      const int now = pieces;
      std::this_thread::sleep_for(milliseconds(20));
      EXPECT_EQ(pieces, now) << "one works at a time";
    }
    AwaitMoreThan(pieces, before);
  }
  end = true;
}

TEST(TurnQueue, TwoLongWorksAdvanceByTurns) {
  TurnQueue queue(milliseconds(5));
  std::atomic<bool> end = false;
  std::atomic<int> one = 0, other = 0;
  const std::jthread first = LongWork(queue, "one", end, one), second = LongWork(queue, "other", end, other);
  for (int round = 0; round < 5; ++round) {
    AwaitMoreThan(one, one);
    AwaitMoreThan(other, other);
  }
  end = true;
}

TEST(TurnQueue, AClientsOwnWorksWaitForItsLongOne) {
  TurnQueue queue(milliseconds(1));
  std::atomic<bool> end = false, begun = false;
  std::atomic<int> pieces = 0;
  const std::jthread long_work = LongWork(queue, "me", end, pieces);
  AwaitMoreThan(pieces, 0);
  std::jthread mine([&] {
    const TurnQueue::Turn turn = queue.Wait("me", CancelToken());
    begun = true;
  });
  AwaitMoreThan(pieces, pieces + 20);
  EXPECT_FALSE(begun);
  end = true;
  mine.join();
  EXPECT_TRUE(begun);
}

TEST(TurnQueue, WhoIsCancelledWhileItLetsOthersInLosesItsTurnAndNobodyElse) {
  TurnQueue queue(milliseconds(1));
  CancelToken cancel;
  std::atomic<int> pieces = 0;
  std::atomic<bool> left = false;
  std::jthread long_work([&] {
    TurnQueue::Turn turn = queue.Wait("long", CancelToken());
    try {
      for (;;) {
        std::this_thread::sleep_for(milliseconds(1));
        ++pieces;
        turn.LetOthersIn(cancel);
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled);
      left = true;
    }
  });
  AwaitMoreThan(pieces, 0);
  {
    const TurnQueue::Turn turn = queue.Wait("short", CancelToken());
    cancel.Cancel();
    while (!left) std::this_thread::sleep_for(milliseconds(1));
  }
  long_work.join();
  const TurnQueue::Turn turn = queue.Wait("third", CancelToken());
}

TEST(TurnQueue, NoMoreThanSoManyAreBegunAtOnce) {
  TurnQueue queue(milliseconds(1));
  std::atomic<bool> end = false;
  std::vector<std::atomic<int>> pieces(TurnQueue::kMostBegun + 1);
  std::vector<std::jthread> works;
  for (size_t i = 0; i < TurnQueue::kMostBegun; ++i) {
    works.push_back(LongWork(queue, "client " + std::to_string(i), end, pieces[i]));
    AwaitMoreThan(pieces[i], 0);
  }
  works.push_back(LongWork(queue, "one too many", end, pieces.back()));
  AwaitMoreThan(pieces[0], pieces[0] + 20);
  EXPECT_EQ(pieces.back(), 0);
  end = true;
}

}  // namespace
}  // namespace diptych
