#include "common/concurrency/cancel_token.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace diptych {
namespace {

TEST(CancelToken, IsCancelledForAllOfItsCopiesAndForNoOther) {
  const CancelToken token, other;
  const CancelToken copy = token;
  EXPECT_FALSE(copy.IsCancelled());
  copy.ThrowIfCancelled();
  token.Cancel();
  token.Cancel();
  EXPECT_TRUE(token.IsCancelled());
  EXPECT_TRUE(copy.IsCancelled());
  EXPECT_FALSE(other.IsCancelled());
  try {
    copy.ThrowIfCancelled();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
}

TEST(CancelToken, EndsAWaitThatNobodyNotifies) {
  const CancelToken token;
  std::mutex mutex;
  std::condition_variable_any never;
  auto wait = std::async(std::launch::async, [&] {
    std::unique_lock lock(mutex);
    return never.wait(lock, token.stop_token(), [] { return false; });
  });
  token.Cancel();
  EXPECT_FALSE(wait.get());
  std::unique_lock lock(mutex);
  EXPECT_FALSE(never.wait(lock, token.stop_token(), [] { return false; })) << "it was cancelled before";
}

TEST(CancelToken, MayBeDestroyedByACallback) {
  auto token = std::make_unique<CancelToken>();
  const CancelToken copy = *token;
  const CancelCallback callback(copy, [&] { token.reset(); });
  token->Cancel();
  EXPECT_EQ(token, nullptr);
  EXPECT_TRUE(copy.IsCancelled());
}

TEST(CancelCallback, RunsOnceOnTheThreadThatCancels) {
  const CancelToken token;
  int calls = 0;
  std::thread::id where;
  const CancelCallback callback(token, [&] {
    ++calls;
    where = std::this_thread::get_id();
    EXPECT_TRUE(token.IsCancelled());
  });
  std::thread canceller([&] { token.Cancel(); });
  const std::thread::id expected = canceller.get_id();
  canceller.join();
  token.Cancel();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(where, expected);
}

TEST(CancelCallback, RunsAtOnceForATokenThatWasCancelled) {
  const CancelToken token;
  token.Cancel();
  int calls = 0;
  const CancelCallback callback(token, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(CancelCallback, DoesNotRunAfterItsEnd) {
  const CancelToken token;
  int calls = 0;
  { const CancelCallback callback(token, [&] { ++calls; }); }
  token.Cancel();
  EXPECT_EQ(calls, 0);
}

TEST(CancelCallback, EndsAfterACallbackThatRunsOnAnotherThread) {
  const CancelToken token;
  std::promise<void> entered;
  std::atomic<bool> ending = false, left = false;
  std::optional<CancelCallback> callback;
  callback.emplace(token, [&] {
    entered.set_value();
    while (!ending) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    left = true;
  });
  std::thread canceller([&] { token.Cancel(); });
  entered.get_future().wait();
  ending = true;
  callback.reset();
  EXPECT_TRUE(left);
  canceller.join();
}

TEST(CancelCallback, MayEndWithinItsOwnCallback) {
  const CancelToken token;
  std::optional<CancelCallback> callback;
  callback.emplace(token, [&] { callback.reset(); });
  token.Cancel();
  EXPECT_FALSE(callback.has_value());
}

}  // namespace
}  // namespace diptych
