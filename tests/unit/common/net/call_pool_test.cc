#include "common/net/call_pool.h"

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(CallPool, PeersTakeTurnsHoweverMuchOneOfThemAsksFor) {
  std::vector<char> order;
  {
    std::promise<void> go;  // outlives the pool, whose thread may begin late
    CallPool pool(1);
    pool.Run("x", [gone = go.get_future().share()] { gone.wait(); });
    for (int i = 0; i < 1000; ++i) pool.Run("greedy", [&] { order.push_back('g'); });
    pool.Run("honest", [&] { order.push_back('h'); });
    pool.Run("honest", [&] { order.push_back('i'); });
    go.set_value();
  }
  ASSERT_EQ(order.size(), 1002u);
  EXPECT_EQ(std::string(order.begin(), order.begin() + 4), "ghgi");
}

TEST(CallPool, WhatIsInLineIsDoneBeforeItsEnd) {
  std::atomic<int> done = 0;
  {
    CallPool pool(3);
    for (int i = 0; i < 100; ++i) pool.Run(std::to_string(i % 7), [&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace diptych
