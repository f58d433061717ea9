#include "common/concurrency/physical_cores.h"

#include <gtest/gtest.h>

namespace diptych {
namespace {

TEST(ThreadsWorthwhile, AreFewForSmallPiecesAndAllForLargeOnes) {
  EXPECT_EQ(ThreadsWorthwhile(0.09e9, 2), 1);  // a layer of the demo model at 128x128
  EXPECT_EQ(ThreadsWorthwhile(0.36e9, 2), 2);  // at 256x256
  EXPECT_EQ(ThreadsWorthwhile(0.36e9, 16), 2);
  EXPECT_EQ(ThreadsWorthwhile(4.4e9, 16), 16);  // a layer of the real text encoder, 22 tokens
  EXPECT_EQ(ThreadsWorthwhile(0, 4), 1);
  EXPECT_EQ(ThreadsWorthwhile(1e15, 1), 1);
}

TEST(PhysicalCores, AreAtLeastOne) { EXPECT_GE(PhysicalCores(), 1); }

}  // namespace
}  // namespace diptych
