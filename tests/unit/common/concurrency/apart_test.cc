#include "common/concurrency/apart.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace diptych {
namespace {

TEST(Apart, IsAnotherThreadThatHasEnded) {
  std::thread::id id;
  RunApart([&] { id = std::this_thread::get_id(); });
  EXPECT_NE(id, std::thread::id());
  EXPECT_NE(id, std::this_thread::get_id());
}

TEST(Apart, ThrowsWhatTheWorkThrows) {
  EXPECT_THROW(RunApart([] { throw std::runtime_error("no"); }), std::runtime_error);
}

}  // namespace
}  // namespace diptych
