#include "common/log/log.h"

#include <sstream>
#include <thread>
#include <vector>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(Log, WritesTimeLevelAndMessage) {
  std::ostringstream out;
  MakeStreamLogger(out, LogLevel::kInfo)->Info("listening on 127.0.0.1:7871");
  const std::string line = out.str();
  ASSERT_EQ(line.size(), std::string("12:34:56 info listening on 127.0.0.1:7871\n").size()) << line;
  EXPECT_EQ(line[2], ':');
  EXPECT_EQ(line[5], ':');
  EXPECT_EQ(line.substr(8), " info listening on 127.0.0.1:7871\n");
}

TEST(Log, NamesTheLevels) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kDebug);
  log->Debug("a");
  log->Warn("b");
  log->Error("c");
  EXPECT_NE(out.str().find(" debug a\n"), std::string::npos);
  EXPECT_NE(out.str().find(" warning b\n"), std::string::npos);
  EXPECT_NE(out.str().find(" error c\n"), std::string::npos);
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kWarning);
  log->Info("unimportant");
  EXPECT_EQ(out.str(), "");
  EXPECT_FALSE(log->Shows(LogLevel::kInfo));
  EXPECT_TRUE(log->Shows(LogLevel::kError));
}

TEST(Log, EveryLineOfAJobCarriesItsId) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true);
  const Logger job = log->ForJob("42");
  job.Info("encoding");
  job.Error("failed");
  log->Info("idle");
  EXPECT_EQ(out.str(), "<6>job=42 encoding\n<3>job=42 failed\n<6>idle\n");
}

TEST(Log, NobodyCanForgeALine) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true);
  log->ForJob("1\n<0>x").Info("prompt\n<3>forged\r\x1b[2J\x7f");
  EXPECT_EQ(out.str(), "<6>job=1\\n<0>x prompt\\n<3>forged\\r\\x1b[2J\\x7f\n");
}

TEST(Log, DoesNotFormatBracesInAMessage) {
  std::ostringstream out;
  MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true)->Info("{} {0} %v %");
  EXPECT_EQ(out.str(), "<6>{} {0} %v %\n");
}

TEST(Log, EscapesControlCharactersAndKeepsOtherUnicode) {
  EXPECT_EQ(EscapeForLog("a\tb\xc2\x9b"
                         "2J"),
            "a\\tb\\xc2\\x9b2J");
  EXPECT_EQ(EscapeForLog("\xc2\xb5 \xe5\x8f\xa5 \xf0\x9f\x98\x80"), "\xc2\xb5 \xe5\x8f\xa5 \xf0\x9f\x98\x80");
  EXPECT_EQ(EscapeForLog(std::string_view("\0", 1)), "\\x00");
}

TEST(Log, KeepsLinesWholeWhenThreadsWriteAtOnce) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([log] {
      for (int line = 0; line < 100; ++line) log->Info("whole");
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(out.str());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_EQ(line, "<6>whole");
  EXPECT_EQ(count, 400);
}

TEST(Log, ReadsTheNamesOfItsLevels) {
  EXPECT_EQ(ParseLogLevel("warning"), LogLevel::kWarning);
  EXPECT_THROW(ParseLogLevel("loud"), diptych::Error);
}

TEST(Log, WritesToStderrInOneLine) {
  testing::internal::CaptureStderr();
  MakeLogger("test", LogLevel::kInfo)->Info("hello");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("hello\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace diptych
