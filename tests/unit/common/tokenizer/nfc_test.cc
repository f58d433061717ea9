#include "common/tokenizer/nfc.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/support/cpu_time.h"

namespace diptych {
namespace {

TEST(ComposeNfc, ComposesLettersAndMarks) {
  EXPECT_EQ(ComposeNfc("cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(ComposeNfc("A\u030a \u212b"), "\u00c5 \u00c5");
  EXPECT_EQ(ComposeNfc("\u304b\u3099"), "\u304c");
  EXPECT_EQ(ComposeNfc("e\u0301\u0301"), "\u00e9\u0301");
}

TEST(ComposeNfc, ComposesHangul) {
  EXPECT_EQ(ComposeNfc("\u1112\u1161\u11ab"), "\ud55c");
  EXPECT_EQ(ComposeNfc("\uac00\u11a8"), "\uac01");
  EXPECT_EQ(ComposeNfc("\u1112\u1161 \u11ab"), "\ud558 \u11ab");
}

TEST(ComposeNfc, OrdersMarksByClassAndKeepsTheOrderWithinOne) {
  EXPECT_EQ(ComposeNfc("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(ComposeNfc("q\u0307\u0301\u0323"), "q\u0323\u0307\u0301");
  EXPECT_EQ(ComposeNfc("\u0323\u0307q"), "\u0323\u0307q");
}

TEST(ComposeNfc, DoesNotComposeWhatUnicodeExcludes) {
  EXPECT_EQ(ComposeNfc("\u0958"), "\u0915\u093c");
  EXPECT_EQ(ComposeNfc("\u2126"), "\u03a9");
  EXPECT_EQ(ComposeNfc("\u0344"), "\u0308\u0301");
}

TEST(ComposeNfc, LeavesCompatibilityFormsCaseAndLineEnds) {
  for (const std::string text :
       {"", "plain\r\n ASCII", "\u00e9\u00ff", "\u00bd \ufb01 \uff21 \u00b2", "\u732b\U0001f431\u200d", "\u0301"}) {
    EXPECT_EQ(ComposeNfc(text), text);
  }
}

TEST(ComposeNfc, TakesLongRunsOfMarksInItsStride) {
  std::string marks = "a", expected = "a";
  for (int i = 0; i < 250'000; ++i) marks += "\u0301\u0316";
  for (int i = 0; i < 250'000; ++i) expected += "\u0316";
  for (int i = 0; i < 250'000; ++i) expected += "\u0301";
  expected.replace(0, 1, "\u00e1").resize(expected.size() - 2);
  const CpuTimer timer;
  EXPECT_EQ(ComposeNfc(marks), expected);
  EXPECT_LT(timer.Seconds(), 1 * kTimeAllowance);
}

}  // namespace
}  // namespace diptych
