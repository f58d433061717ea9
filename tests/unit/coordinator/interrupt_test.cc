#include "coordinator/interrupt.h"

#include <gtest/gtest.h>

#include <string>

#include "common/error/error.h"

namespace diptych {
namespace {

TEST(Interrupt, EndsWaitsBeforeItsReactionsWhichRunOnceTheYoungestFirst) {
  Interrupt interrupt;
  const CancelToken token = interrupt.token();
  std::string ran;
  const CancelCallback waits(token, [&] { ran += "w"; });
  const Interrupt::Reaction first(interrupt, [&] { ran += token.IsCancelled() ? "1" : "?"; });
  const Interrupt::Reaction second(interrupt, [&] { ran += interrupt.requested() ? "2" : "?"; });
  { const Interrupt::Reaction gone(interrupt, [&] { ran += "3"; }); }
  EXPECT_FALSE(interrupt.requested());
  interrupt.ThrowIfRequested();
  interrupt.Request();
  interrupt.Request();
  EXPECT_EQ(ran, "w21");
  EXPECT_THROW(interrupt.ThrowIfRequested(), Error);
  const Interrupt::Reaction late(interrupt, [&] { ran += "l"; });
  EXPECT_EQ(ran, "w21l") << "at once";
}

TEST(Interrupt, TheSecondRequestHasReactionsOfItsOwn) {
  Interrupt interrupt;
  int first = 0, last = 0;
  const Interrupt::Reaction reaction(interrupt, [&] { ++first; });
  const Interrupt::LastReaction last_reaction(interrupt, [&] { ++last; });
  interrupt.Request();
  EXPECT_EQ(last, 0);
  interrupt.RequestAgain();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(last, 1);
}

}  // namespace
}  // namespace diptych
