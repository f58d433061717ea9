#include "common/log/log.h"

#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(Log, WritesDateTimeAndOffsetLevelAndMessage) {
  setenv("TZ", "XYZ-05:30", 1);  // east of Greenwich
  tzset();
  const std::time_t before = std::time(nullptr);
  std::ostringstream out;
  MakeStreamLogger(out, LogLevel::kInfo)->Info("listening on 127.0.0.1:7871");
  const std::string line = out.str();
  std::smatch parts;
  ASSERT_TRUE(std::regex_match(line, parts,
                               std::regex(R"((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\.\d{3}\+05:30 info )"
                                          R"(listening on 127\.0\.0\.1:7871\n)")))
      << line;
  std::tm local = {};
  ASSERT_NE(strptime(parts[1].str().c_str(), "%Y-%m-%dT%H:%M:%S", &local), nullptr);
  local.tm_isdst = -1;
  const std::time_t said = std::mktime(&local);
  EXPECT_GE(said, before);
  EXPECT_LE(said, std::time(nullptr));
  unsetenv("TZ");
  tzset();
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
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true);
  log->Info(
      "a\tb\xc2\x9b"
      "2J \xe2\x80\xae \xff");
  log->Info("\xc2\xb5 \xe5\x8f\xa5 \xf0\x9f\x98\x80");
  EXPECT_EQ(out.str(), "<6>a\\tb\\xc2\\x9b2J \\u202e \\xff\n<6>\xc2\xb5 \xe5\x8f\xa5 \xf0\x9f\x98\x80\n");
}

TEST(Log, ALineIsBoundedWhateverItHolds) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true);
  log->ForJob(std::string(1'000'000, 'j')).Info(std::string(10'000'000, '\x1b'));
  EXPECT_LT(out.str().size(), 4200u);
  EXPECT_NE(out.str().find(" more bytes)\n"), std::string::npos);
}

TEST(Log, NobodyCanFillItFromOnePlace) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true);
  const auto flood = [&](int count) {
    for (int i = 0; i < count; ++i) log->ForJob(std::to_string(i)).Warn("refused");
  };
  flood(100'000);
  const std::string text = out.str();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_GE(lines, kLogBurst);
  EXPECT_LE(lines, kLogBurst + 20) << "one a second beyond the first";
  log->Warn("another place");
  EXPECT_NE(out.str().find("<4>another place\n"), std::string::npos);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  flood(1);
  EXPECT_NE(out.str().find(" more lines like this were left out)\n"), std::string::npos);
}

TEST(Log, LeavesNoDebugLineOut) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kDebug, /*journal=*/true);
  for (int i = 0; i < 3 * kLogBurst; ++i) log->Debug("token");
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3 * kLogBurst);
}

TEST(Log, KeepsLinesWholeWhenThreadsWriteAtOnce) {
  std::ostringstream out;
  const auto log = MakeStreamLogger(out, LogLevel::kInfo, /*journal=*/true);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([log] {
      for (int line = 0; line < kLogBurst / 4; ++line) log->Info("whole");
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(out.str());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_EQ(line, "<6>whole");
  EXPECT_EQ(count, kLogBurst);
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
