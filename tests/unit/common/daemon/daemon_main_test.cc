#include "common/daemon/daemon_main.h"

#include <vector>

#include "common/config/options.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

struct Config {
  LogLevel log_level = LogLevel::kInfo;
  std::string model_path;
  static absl::StatusOr<Config> FromSettings(const Settings& settings) {
    Config config;
    config.model_path = settings.Get(options::kModelPath);
    if (config.model_path.empty()) return absl::InvalidArgumentError("no checkpoint");
    return config;
  }
};

struct Ended {
  int status = -1;
  std::string err;
  bool ran = false;
};

Ended RunMain(std::vector<const char*> arguments, const absl::Status& result) {
  arguments.insert(arguments.begin(), "diptych-encoderd");
  Ended ended;
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  ended.status =
      DaemonMain<Config>({kEncoderd, "diptych-encoderd", "Does nothing."}, static_cast<int>(arguments.size()),
                         arguments.data(), [&](const Config& config, const Logger&) {
                           EXPECT_EQ(config.model_path, "m");
                           ended.ran = true;
                           return result;
                         });
  testing::internal::GetCapturedStdout();
  ended.err = testing::internal::GetCapturedStderr();
  return ended;
}

TEST(DaemonMain, EndsWithZeroWhenItsLifeEndsWell) {
  const Ended ended = RunMain({"--model-path", "m"}, absl::OkStatus());
  EXPECT_TRUE(ended.ran);
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.err, "");
}

TEST(DaemonMain, EndsWithOneAndOneLineWhenItFails) {
  const Ended ended = RunMain({"--model-path", "m"}, absl::UnavailableError("the port is taken"));
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.err, "diptych-encoderd: the port is taken\n");
}

TEST(DaemonMain, EndsWithTwoForWrongUsageAndDoesNotRun) {
  const Ended no_checkpoint = RunMain({}, absl::OkStatus());
  EXPECT_FALSE(no_checkpoint.ran);
  EXPECT_EQ(no_checkpoint.status, 2);
  EXPECT_EQ(no_checkpoint.err, "diptych-encoderd: no checkpoint\n");
  const Ended unknown_flag = RunMain({"--modle-path", "m"}, absl::OkStatus());
  EXPECT_FALSE(unknown_flag.ran);
  EXPECT_EQ(unknown_flag.status, 2);
}

TEST(DaemonMain, HelpIsNoFailure) { EXPECT_EQ(RunMain({"--help"}, absl::OkStatus()).status, 0); }

}  // namespace
}  // namespace diptych
