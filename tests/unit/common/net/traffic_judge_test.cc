#include "common/net/traffic_judge.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/support/raw_http2.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = TrafficJudge::Clock;

constexpr uint8_t kLast = Http2Frame::kEndHeaders | Http2Frame::kEndStream;

std::string HeadersOf(uint32_t stream, uint8_t flags = Http2Frame::kEndHeaders, size_t size = 60) {
  return RawHttp2::FrameOf(Http2Frame::kHeaders, flags, stream, std::string(size, 'h'));
}
std::string DataOf(uint32_t stream, const std::string& bytes, uint8_t flags = 0) {
  return RawHttp2::FrameOf(Http2Frame::kData, flags, stream, bytes);
}

class TrafficJudgeTest : public testing::Test {
 protected:
  TrafficJudgeTest() { EXPECT_EQ(Pass(std::string(kHttp2Preface)), kHttp2Preface.size()); }

  size_t Pass(const std::string& bytes) {
    last_ = judge_.Judge(bytes, now_);
    return last_.pass;
  }
  bool Passes(const std::string& bytes) { return Pass(bytes) == bytes.size() && last_.breach.empty(); }
  // How many of the frames pass at once.
  int CountPassing(int most, const std::function<std::string(int)>& frame) {
    int count = 0;
    while (count < most && Passes(frame(count))) ++count;
    return count;
  }

  Clock::time_point now_ = Clock::now();
  HostAllowances host_;
  TrafficJudge judge_{TrafficLimits{.streams = 100}, &host_};
  TrafficJudge::Judgement last_;
};

TEST_F(TrafficJudgeTest, WhoDoesNotSpeakHttp2IsRefusedAtItsFirstWrongByte) {
  for (const std::string& text :
       {std::string("GET / HTTP/1.1\r\n"), std::string("PRI * HTTP/1"), std::string("\x16\x03")}) {
    TrafficJudge judge(TrafficLimits{}, &host_);
    EXPECT_FALSE(judge.Judge(text, now_).breach.empty()) << text;
    EXPECT_FALSE(judge.has_preface());
  }
}

TEST_F(TrafficJudgeTest, PassesWholeAndBrokenUpFramesAlike) {
  const std::string call = HeadersOf(1) + DataOf(1, RawHttp2::MessageOf(std::string(40'000, 'm')).substr(0, 16'000)) +
                           RawHttp2::FrameOf(Http2Frame::kPing, 0, 0, "12345678");
  std::string held;
  size_t passed = 0;
  for (const char byte : call) {
    held += byte;
    const size_t pass = Pass(held);
    passed += pass;
    held.erase(0, pass);
    ASSERT_EQ(last_.breach, "");
    ASSERT_FALSE(last_.wait_until);
  }
  EXPECT_EQ(passed, call.size());
  EXPECT_EQ(judge_.streams(), 1);
  EXPECT_EQ(judge_.unfinished_bytes(), 15'995);
}

TEST_F(TrafficJudgeTest, NoMoreStreamsAreOpenAtATimeThanMayBeAlsoForWhoNeverHeardOfTheLimit) {
  EXPECT_EQ(CountPassing(500, [](int i) { return HeadersOf(1 + 2 * static_cast<uint32_t>(i), kLast); }), 100);
  EXPECT_EQ(last_.wait_until, Clock::time_point::max());
  judge_.Answer(RawHttp2::FrameOf(Http2Frame::kHeaders, kLast, 7, "trailers"));
  EXPECT_TRUE(Passes(HeadersOf(999, kLast)));
  EXPECT_FALSE(Passes(HeadersOf(1001, kLast)));
}

TEST_F(TrafficJudgeTest, StreamsThatAreOpenedAndResetAreRationedByConnectionAndByHost) {
  const auto open_and_reset = [](int i) {
    const uint32_t stream = 1 + 2 * static_cast<uint32_t>(i);
    return HeadersOf(stream) + RawHttp2::ResetOf(stream);
  };
  int at_once = 0;
  while (Passes(open_and_reset(at_once)) && at_once < 10'000) ++at_once;
  EXPECT_LE(at_once, 600) << "of a host that has been quiet";
  ASSERT_TRUE(last_.wait_until);
  int later = 0;
  for (int ms = 0; ms < 5000; ++ms) {
    now_ += milliseconds(1);
    if (Passes(RawHttp2::ResetOf(1 + 2 * static_cast<uint32_t>(at_once + later)))) {
      ++later;
      Passes(HeadersOf(1 + 2 * static_cast<uint32_t>(at_once + later)));
    }
  }
  EXPECT_LE(later, 5 * 230) << "in five seconds";
  EXPECT_GE(later, 5 * 15) << "it goes on";

  TrafficJudge other(TrafficLimits{}, &host_);
  const std::string greeting(kHttp2Preface);
  other.Judge(greeting, now_);
  const std::string call = HeadersOf(1) + RawHttp2::ResetOf(1);
  EXPECT_EQ(other.Judge(call, now_).pass, call.size()) << "another connection of the host has its own ration";
}

TEST_F(TrafficJudgeTest, HeadersThatDoNotEndBreakTheConnection) {
  std::string block = HeadersOf(1, 0, 8000);
  EXPECT_TRUE(Passes(block));
  int64_t bytes = 8000;
  while (last_.breach.empty() && !last_.wait_until && bytes < 1'000'000) {
    Pass(RawHttp2::FrameOf(Http2Frame::kContinuation, 0, 1, std::string(4000, 'x')));
    bytes += 4000;
  }
  EXPECT_EQ(last_.breach, "its headers are too long");
  EXPECT_LE(bytes, 20'000);
}

TEST_F(TrafficJudgeTest, FramesThatCarryNothingAreRationed) {
  ASSERT_TRUE(Passes(HeadersOf(1)));
  const std::vector<std::string> floods = {
      RawHttp2::FrameOf(Http2Frame::kPing, 0, 0, "12345678"),
      RawHttp2::FrameOf(Http2Frame::kWindowUpdate, 0, 0, std::string("\0\0\0\1", 4)),
      RawHttp2::FrameOf(Http2Frame::kSettings, 0, 0, ""),
      RawHttp2::FrameOf(Http2Frame::kPriority, 0, 1, "12345"),
      RawHttp2::FrameOf(0x7f, 0, 0, "unknown"),
      DataOf(1, ""),
      DataOf(1, "x")};
  for (const std::string& frame : floods) {
    int passed = CountPassing(100'000, [&](int) { return frame; });
    for (int second = 0; second < 10; ++second) {
      now_ += seconds(1);
      passed += CountPassing(100'000, [&](int) { return frame; });
    }
    EXPECT_LE(passed, 2000 + 10 * 500 + 10) << "in ten seconds: " << testing::PrintToString(frame);
  }
}

TEST_F(TrafficJudgeTest, WindowUpdatesGoWithWhatIsAnswered) {
  ASSERT_TRUE(Passes(HeadersOf(1, kLast)));
  const std::string update = RawHttp2::FrameOf(Http2Frame::kWindowUpdate, 0, 1, std::string("\0\0\x40\0", 4));
  for (int piece = 0; piece < 20'000; ++piece) {  // 320 MB at once
    judge_.Answer(RawHttp2::FrameOf(Http2Frame::kData, 0, 1, std::string(16384, 'd')));
    ASSERT_TRUE(Passes(update + update)) << piece;
  }
}

TEST_F(TrafficJudgeTest, KnowsWhatIsUnfinished) {
  ASSERT_TRUE(Passes(HeadersOf(1) + HeadersOf(3)));
  const std::string message = RawHttp2::MessageOf(std::string(5000, 'm'));
  ASSERT_TRUE(Passes(DataOf(1, message.substr(0, 3))));
  EXPECT_EQ(judge_.unfinished_bytes(), 0);
  ASSERT_TRUE(Passes(DataOf(1, message.substr(3, 3002)) + DataOf(3, message.substr(0, 1005))));
  EXPECT_EQ(judge_.unfinished_bytes(), 4000);
  ASSERT_TRUE(Passes(DataOf(1, message.substr(3005) + message)));
  EXPECT_EQ(judge_.unfinished_bytes(), 1000);
  ASSERT_TRUE(Passes(RawHttp2::ResetOf(3)));
  EXPECT_EQ(judge_.unfinished_bytes(), 0);
}

TEST_F(TrafficJudgeTest, AStreamThatStaysHalfOpenIsGivenUp) {
  ASSERT_TRUE(Passes(HeadersOf(1) + HeadersOf(3, kLast)));
  now_ += seconds(40);
  EXPECT_FALSE(judge_.TakeStale(now_));
  ASSERT_TRUE(Passes(HeadersOf(5)));
  now_ += seconds(30);
  EXPECT_EQ(judge_.TakeStale(now_), 1u);
  EXPECT_FALSE(judge_.TakeStale(now_)) << "3 waits for its answer, 5 is young";
  EXPECT_EQ(judge_.streams(), 2);
}

}  // namespace
}  // namespace diptych
