#include "encoder_node/service/encoder_daemon.h"

#include <grpcpp/client_context.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/config/options.h"
#include "common/config/value_text.h"
#include "common/net/channel.h"
#include "common/net/server_runner.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;
using Values = std::vector<std::pair<std::string, std::string>>;

// A checkpoint folder whose tokenizer is a part of its own, or lies beside the weights.
class EncoderDaemonConfigTest : public ::testing::Test {
 protected:
  EncoderDaemonConfigTest() {
    fs::create_directories(folder / "text_encoder");
    fs::create_directories(folder / "tokenizer");
    std::ofstream(folder / "text_encoder" / "model.safetensors") << "x";
  }
  ~EncoderDaemonConfigTest() override { fs::remove_all(folder); }

  absl::StatusOr<EncoderDaemonConfig> Config(Values values) {
    values.emplace_back("model_path", folder.string());
    return EncoderDaemonConfig::FromSettings(SettingsForTest(values));
  }

  const fs::path folder = fs::temp_directory_path() / ("encoder_daemon_test." + std::to_string(getpid()));
};

TEST_F(EncoderDaemonConfigTest, EveryKeyChangesTheConfiguration) {
  using C = EncoderDaemonConfig;
  struct Row {
    const OptionInfo& option;
    std::string value;
    std::function<bool(const C&)> is_it;  // false of the configuration without the key
  };
  const std::vector<Row> rows = {
      {options::kLogLevel.info, "error", [](const C& c) { return c.log_level == LogLevel::kError; }},
      {options::kLogPrompts.info, "true", [](const C& c) { return c.log_prompts; }},
      {options::kInsecure.info, "true", [](const C& c) { return c.insecure; }},
      {options::kModelPath.info, "m",
       [](const C& c) {
         return c.encoder.text_encoder_path == "m/text_encoder" && c.encoder.tokenizer_path == "m/tokenizer";
       }},
      {options::kTextEncoderPath.info, "/elsewhere",
       [](const C& c) { return c.encoder.text_encoder_path == "/elsewhere"; }},
      {options::kEncoderListen.info, "127.0.0.1:9", [](const C& c) { return c.listen.port == 9; }},
      {options::kEncoderDevice.info, "cuda", [](const C& c) { return c.encoder.device == "cuda"; }},
      {options::kEncoderTorchDtype.info, "float32", [](const C& c) { return c.encoder.torch_dtype == "float32"; }},
      {options::kEncoderThreads.info, "3", [](const C& c) { return c.encoder.threads == 3; }},
      {options::kEncoderPromptByteLimit.info, "77", [](const C& c) { return c.prompt_byte_limit == 77; }},
  };
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & kEncoderd) == 0 || IsLoadersOwn(*info)) continue;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return &r.option == info; });
    ASSERT_NE(row, rows.end()) << "no row says what " << info->flag << " changes";
    EXPECT_FALSE(row->is_it(*Config({}))) << info->flag;
    // The last one counts: of the model path, the row's.
    const Settings settings = SettingsForTest({{"model_path", folder.string()}, {OptionName(*info), row->value}});
    EXPECT_TRUE(row->is_it(*EncoderDaemonConfig::FromSettings(settings))) << info->flag;
  }
}

TEST_F(EncoderDaemonConfigTest, HasTheDefaultsOfTheTable) {
  const EncoderDaemonConfig plain = *Config({});
  EXPECT_EQ(plain.encoder.text_encoder_path, folder / "text_encoder");
  EXPECT_EQ(plain.encoder.tokenizer_path, folder / "tokenizer");
  EXPECT_EQ(plain.encoder.device, "auto");
  EXPECT_EQ(plain.encoder.torch_dtype, "auto");
  EXPECT_EQ(plain.encoder.threads, 0);
}

TEST_F(EncoderDaemonConfigTest, LooksForTheTokenizerBesideTheWeightsToo) {
  std::ofstream(folder / "text_encoder" / "tokenizer.json") << "{}";
  EXPECT_EQ(Config({})->encoder.tokenizer_path, folder / "text_encoder");
  const auto alone = EncoderDaemonConfig::FromSettings(
      SettingsForTest({{"text_encoder_path", (folder / "text_encoder" / "model.safetensors").string()}}));
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_EQ(alone->encoder.tokenizer_path, folder / "text_encoder");
}

TEST_F(EncoderDaemonConfigTest, RefusesWrongUsage) {
  EXPECT_NE(std::string(EncoderDaemonConfig::FromSettings(SettingsForTest()).status().message()).find("--model-path"),
            std::string::npos);
  EXPECT_EQ(Config({{"encoder.listen", "nowhere"}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Config({{"encoder.listen", "0.0.0.0:1"}}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Config({{"encoder.listen", "0.0.0.0:1"}, {"insecure", "true"}}).ok());
}

class StubEncoder final : public PromptEncoder {
 public:
  StubEncoder() { facts_.warnings = {"there is more in this checkpoint"}; }
  const EncoderFacts& facts() const override { return facts_; }
  Conditioning Encode(const std::string&, const EncodeParameters&, const CancelToken&) override { return {}; }
  std::vector<int64_t> TokenIds(const std::string&) const override { return {}; }

 private:
  EncoderFacts facts_;
};

// At a port that is free.
EncoderDaemonConfig FreePort() {
  grpc::Service nothing;
  EncoderDaemonConfig config;
  config.listen = (*ServerRunner::Start({"127.0.0.1", 0}, {{"nothing", &nothing}}))->address();
  config.prompt_byte_limit = 100;
  return config;
}

// What the encoder at `address` says of itself.
grpc::StatusCode Describe(const Address& address) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::DescribeEncoderResponse description;
  return v1::Encoder::NewStub(MakeChannel(address))->Describe(&context, {}, &description).error_code();
}

TEST(EncoderDaemon, AnnouncesItsPortLoadsServesAndStopsWhenAsked) {
  const EncoderDaemonConfig config = FreePort();
  std::ostringstream lines;
  const auto log = MakeStreamLogger(lines, LogLevel::kInfo);
  grpc::StatusCode while_loading = grpc::StatusCode::OK;
  std::thread user;
  testing::internal::CaptureStdout();
  const absl::Status status = RunEncoderDaemon(config, *log, [&](const TextEncoderOptions&) {
    while_loading = Describe(config.listen);
    user = std::thread([&] {
      while (Describe(config.listen) != grpc::StatusCode::OK) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      kill(getpid(), SIGTERM);
    });
    return std::make_unique<StubEncoder>();
  });
  const std::string out = testing::internal::GetCapturedStdout();
  user.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(out, "{\"listening\":\"" + config.listen.ToString() + "\"}\n");
  EXPECT_EQ(while_loading, grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(lines.str().find("listening on " + config.listen.ToString()), std::string::npos) << lines.str();
  EXPECT_NE(lines.str().find("warning there is more in this checkpoint"), std::string::npos) << lines.str();
  EXPECT_NE(lines.str().find("stopped"), std::string::npos) << lines.str();
}

TEST(EncoderDaemon, FailsWhenTheCheckpointIsBad) {
  std::ostringstream lines;
  const absl::Status status = RunEncoderDaemon(
      FreePort(), *MakeStreamLogger(lines, LogLevel::kInfo), [](const auto&) -> std::unique_ptr<PromptEncoder> {
        throw Error(ErrorCode::kInvalidArgument, "model.safetensors: tensor norm.weight is missing");
      });
  EXPECT_EQ(status, absl::InvalidArgumentError("model.safetensors: tensor norm.weight is missing"));
}

TEST(EncoderDaemon, FailsWhenItsPortIsTaken) {
  grpc::Service nothing;
  const auto other = *ServerRunner::Start({"127.0.0.1", 0}, {{"nothing", &nothing}});
  EncoderDaemonConfig config;
  config.listen = other->address();
  std::ostringstream lines;
  bool loaded = false;
  const absl::Status status = RunEncoderDaemon(config, *MakeStreamLogger(lines, LogLevel::kInfo), [&](const auto&) {
    loaded = true;
    return std::make_unique<StubEncoder>();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(loaded) << "a minute of loading for nothing";
}

TEST(EncoderDaemonDeathTest, StopsAtOnceWhileLoading) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run = [] {
    const auto log = MakeLogger("test", LogLevel::kInfo);
    RunEncoderDaemon(FreePort(), *log, [](const auto&) -> std::unique_ptr<PromptEncoder> {
      kill(getpid(), SIGTERM);
      for (;;) pause();
    }).IgnoreError();
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "stopped while loading");
}

}  // namespace
}  // namespace diptych
