#include "encoder_node/engine/turn_queue.h"

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

Asker Name(const std::string& name, size_t bytes = 1) {
  return {.host = "host", .connection = "connection", .name = name, .bytes = bytes};
}

constexpr size_t kLong = TurnQueue::kShortBytes + 1;

TurnQueue::Turn Wait(TurnQueue& queue, const std::string& name, const CancelToken& cancel = CancelToken(),
                     size_t bytes = kLong) {
  TurnQueue::Turn turn = queue.Enter(Name(name, bytes));
  turn.Wait(cancel);
  return turn;
}

TEST(TurnQueue, LetsOneWorkAtATime) {
  TurnQueue queue;
  std::atomic<int> working = 0, most = 0, done = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const TurnQueue::Turn turn = Wait(queue, "one");
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
    const TurnQueue::Turn turn = Wait(queue, "one");
    for (int i = 0; i < 3; ++i) {
      waiting[i].emplace([&, i] {
        try {
          const TurnQueue::Turn mine = Wait(queue, "one", tokens[i]);
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
    TurnQueue::Turn turn = Wait(queue, client);
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
  TurnQueue queue({}, milliseconds(5));
  std::atomic<bool> end = false;
  std::atomic<int> pieces = 0;
  const std::jthread long_work = LongWork(queue, "long", end, pieces);
  AwaitMoreThan(pieces, 0);
  for (int i = 0; i < 3; ++i) {
    const int before = pieces;
    {
      const TurnQueue::Turn turn = Wait(queue, "short");  // else this would never end
      const int now = pieces;
      std::this_thread::sleep_for(milliseconds(20));
      EXPECT_EQ(pieces, now) << "one works at a time";
    }
    AwaitMoreThan(pieces, before);
  }
  end = true;
}

TEST(TurnQueue, TwoLongWorksAdvanceByTurns) {
  TurnQueue queue({}, milliseconds(5));
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
  TurnQueue queue({}, milliseconds(1));
  std::atomic<bool> end = false, begun = false;
  std::atomic<int> pieces = 0;
  const std::jthread long_work = LongWork(queue, "me", end, pieces);
  AwaitMoreThan(pieces, 0);
  std::jthread mine([&] {
    const TurnQueue::Turn turn = Wait(queue, "me");
    begun = true;
  });
  AwaitMoreThan(pieces, pieces + 20);
  EXPECT_FALSE(begun);
  end = true;
  mine.join();
  EXPECT_TRUE(begun);
}

TEST(TurnQueue, WhoIsCancelledWhileItLetsOthersInLosesItsTurnAndNobodyElse) {
  TurnQueue queue({}, milliseconds(1));
  CancelToken cancel;
  std::atomic<int> pieces = 0;
  std::atomic<bool> left = false;
  std::jthread long_work([&] {
    TurnQueue::Turn turn = Wait(queue, "long");
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
    const TurnQueue::Turn turn = Wait(queue, "short");
    cancel.Cancel();
    while (!left) std::this_thread::sleep_for(milliseconds(1));
  }
  long_work.join();
  const TurnQueue::Turn turn = Wait(queue, "third");
}

TEST(TurnQueue, NoMoreThanSoManyAreBegunAtOnceOfOneConnectionButShortOnes) {
  TurnQueue queue({}, milliseconds(1));
  std::atomic<bool> end = false;
  std::vector<std::atomic<int>> pieces(TurnQueue::kMostBegunOfOne + 1);
  std::vector<std::jthread> works;
  for (size_t i = 0; i < TurnQueue::kMostBegunOfOne; ++i) {
    works.push_back(LongWork(queue, "client " + std::to_string(i), end, pieces[i]));
    AwaitMoreThan(pieces[i], 0);
  }
  works.push_back(LongWork(queue, "one too many", end, pieces.back()));
  AwaitMoreThan(pieces[0], pieces[0] + 20);
  EXPECT_EQ(pieces.back(), 0);
  { const TurnQueue::Turn small = Wait(queue, "a short one", CancelToken(), 10); }
  {
    TurnQueue::Turn other = queue.Enter({.host = "another host", .connection = "c", .name = "", .bytes = kLong});
    other.Wait(CancelToken());
  }
  EXPECT_EQ(pieces.back(), 0);
  end = true;
}

// However many names one connection has: another one's turn comes after a slice.
TEST(TurnQueue, ManyNamesOfOneConnectionDoNotHoldUpAnother) {
  TurnQueue queue({}, milliseconds(2));
  std::atomic<bool> end = false;
  std::vector<std::atomic<int>> pieces(20);
  std::vector<std::jthread> works;
  for (size_t i = 0; i < pieces.size(); ++i) {
    works.push_back(LongWork(queue, std::to_string(i), end, pieces[i]));
    if (i == 0) AwaitMoreThan(pieces[0], 0);  // once as many others have begun as may, it never would
  }
  for (int i = 0; i < 5; ++i) {
    int before = 0, after = 0;
    for (const auto& count : pieces) before += count;
    TurnQueue::Turn turn = queue.Enter({.host = "host", .connection = "another", .name = "0", .bytes = 1});
    turn.Wait(CancelToken());
    for (const auto& count : pieces) after += count;
    EXPECT_LE(after - before, 4) << "one slice, and what was under way";
  }
  end = true;
}

TEST(TurnQueue, ALineThatIsFullRefusesWhoHasMostAndMakesRoomForWhoHasLess) {
  TurnQueue queue({.prompts = 6, .prompts_per_host = 4, .bytes = 1000, .bytes_per_host = 500});
  const auto enter = [&](const char* host, const char* connection, const char* name, size_t bytes = 1) {
    return queue.Enter({.host = host, .connection = connection, .name = name, .bytes = bytes});
  };
  std::vector<TurnQueue::Turn> greedy;
  greedy.push_back(enter("h", "c", "n"));
  greedy[0].Wait(CancelToken());  // it works
  for (int i = 0; i < 3; ++i) greedy.push_back(enter("h", "c", "n"));
  EXPECT_THROW(enter("h", "c", "n"), TurnQueue::LineIsFull);

  // A new name, and a new connection, of the same host: the last of who has most goes.
  TurnQueue::Turn named = enter("h", "c", "m");
  EXPECT_THROW(greedy[3].Wait(CancelToken()), TurnQueue::LineIsFull);
  const TurnQueue::Turn connected = enter("h", "d", "n");
  EXPECT_THROW(greedy[2].Wait(CancelToken()), TurnQueue::LineIsFull);

  // Another host has room of its own, and when all is full those who have most give way to it until it has as many.
  const TurnQueue::Turn first = enter("i", "c", "n"), second = enter("i", "c", "n"), third = enter("i", "c", "n");
  EXPECT_THROW(greedy[1].Wait(CancelToken()), TurnQueue::LineIsFull);
  EXPECT_THROW(enter("i", "c", "n"), TurnQueue::LineIsFull) << "four against three";
  const TurnQueue::Turn late = enter("j", "c", "n");
  EXPECT_THROW(named.Wait(CancelToken()), TurnQueue::LineIsFull) << "never what is begun";
}

TEST(TurnQueue, PromptsOfMoreBytesThanAreAllowedAreRefusedToo) {
  TurnQueue queue({.prompts = 60, .prompts_per_host = 60, .bytes = 1000, .bytes_per_host = 600});
  const TurnQueue::Turn first = queue.Enter(Name("a", 500));
  EXPECT_THROW(queue.Enter(Name("a", 200)), TurnQueue::LineIsFull);
  const TurnQueue::Turn second = queue.Enter(Name("a", 100));
  const TurnQueue::Turn alone = queue.Enter({.host = "i", .connection = "c", .name = "", .bytes = 400});
  EXPECT_THROW(queue.Enter({.host = "j", .connection = "c", .name = "", .bytes = 601}), TurnQueue::LineIsFull);
}

TEST(TurnQueue, WhoWaitsIsToldAboutHowManyComeFirst) {
  TurnQueue queue;
  std::atomic<int> told = -1;
  {
    const TurnQueue::Turn working = Wait(queue, "one");
    const TurnQueue::Turn next = queue.Enter(Name("one"));
    std::jthread waiting([&] {
      TurnQueue::Turn turn = queue.Enter(Name("two"));
      const CancelToken cancel;
      try {
        turn.Wait(cancel, [&](int32_t ahead) {
          told = ahead;
          cancel.Cancel();
        });
      } catch (const Error&) {
      }
    });
    waiting.join();
  }
  EXPECT_EQ(told, 1) << "one of the other name";
}

}  // namespace
}  // namespace diptych
