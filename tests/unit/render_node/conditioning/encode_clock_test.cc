#include "render_node/conditioning/encode_clock.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A clock of an encoder that may work for 10 s and be silent for 3.
class EncodeClockTest : public testing::Test {
 protected:
  EncodeClock Told() const { return EncodeClock({.work = seconds(10), .silence = seconds(3), .told = true}, now_); }
  EncodeClock Untold() const { return EncodeClock({.work = seconds(10), .silence = seconds(3)}, now_); }
  absl::StatusCode After(const EncodeClock& clock, seconds later) {
    now_ += later;
    const absl::StatusCode code = clock.Check(now_).code();
    EXPECT_EQ(code == absl::StatusCode::kOk, now_ < clock.Over());
    return code;
  }
  EncodeClock::Time now_{std::chrono::hours(1)};
};

constexpr absl::StatusCode kOk = absl::StatusCode::kOk, kLate = absl::StatusCode::kDeadlineExceeded,
                           kSilent = absl::StatusCode::kUnavailable;

TEST_F(EncodeClockTest, OneThatTellsNothingHasTheTimeForItsWork) {
  const EncodeClock clock = Untold();
  EXPECT_EQ(After(clock, seconds(9)), kOk);
  EXPECT_EQ(After(clock, seconds(1)), kLate);
  EXPECT_EQ(clock.Check(now_).message(), "no result within 10 s");
}

TEST_F(EncodeClockTest, WaitingForOthersIsNoWorkHoweverLongItTakes) {
  EncodeClock clock = Told();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(After(clock, seconds(2)), kOk);
    EXPECT_TRUE(clock.Heard(/*working=*/false, milliseconds(0), now_).ok());
  }
  EXPECT_EQ(clock.waited(now_), seconds(200));
  EXPECT_TRUE(clock.Heard(/*working=*/true, milliseconds(0), now_).ok());
  EXPECT_EQ(After(clock, seconds(9)), kOk) << "work may be silent";
  EXPECT_EQ(clock.waited(now_), seconds(200));
  EXPECT_EQ(After(clock, seconds(1)), kLate);
}

TEST_F(EncodeClockTest, OneThatWorksByTurnsSaysForHowLongItHas) {
  EncodeClock clock = Told();
  for (int i = 1; i <= 90; ++i) {  // a tenth of each second
    ASSERT_EQ(After(clock, seconds(1)), kOk) << i;
    EXPECT_TRUE(clock.Heard(/*working=*/true, milliseconds(100 * i), now_).ok());
  }
  EXPECT_EQ(After(clock, seconds(1)), kLate);
}

TEST_F(EncodeClockTest, BelievesNoWorkThatIsImpossible) {
  EncodeClock clock = Told();
  now_ += seconds(1);
  EXPECT_TRUE(clock.Heard(/*working=*/false, milliseconds(INT64_MAX / 2), now_).ok());
  EXPECT_EQ(clock.waited(now_), seconds(0));
  EXPECT_EQ(clock.Check(now_).code(), kOk);
  EXPECT_TRUE(clock.Heard(/*working=*/false, milliseconds(-5), now_).ok());
  EXPECT_EQ(clock.waited(now_), seconds(0)) << "nor less than before";
}

TEST_F(EncodeClockTest, SilenceThatIsNoWorkIsNoticed) {
  EncodeClock clock = Told();
  EXPECT_EQ(After(clock, seconds(2)), kOk);
  EXPECT_EQ(After(clock, seconds(1)), kSilent) << "not even that it waits";
  EncodeClock waiting = Told();
  EXPECT_TRUE(waiting.Heard(/*working=*/false, milliseconds(0), now_).ok());
  EXPECT_EQ(After(waiting, seconds(3)), kSilent);
  EXPECT_EQ(waiting.Check(now_).message(), "it has said nothing for 3 s");
}

TEST_F(EncodeClockTest, AFloodOfProgressIsABrokenStream) {
  EncodeClock clock = Told();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(clock.Heard(false, milliseconds(0), now_).ok());
  EXPECT_EQ(clock.Heard(false, milliseconds(0), now_).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace diptych
