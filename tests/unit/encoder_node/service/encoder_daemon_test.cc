#include "encoder_node/service/encoder_daemon.h"

#include <grpcpp/client_context.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/config/options.h"
#include "common/net/channel.h"
#include "common/net/server_runner.h"
#include "diptych/v1/encoder.grpc.pb.h"
#include "gtest/gtest.h"

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

TEST_F(EncoderDaemonConfigTest, ReadsEveryKeyOfTheProgram) {
  const Settings settings = SettingsForTest({{"model_path", folder.string()}});
  ASSERT_TRUE(EncoderDaemonConfig::FromSettings(settings).ok());
  EXPECT_EQ(settings.UnreadKeys(kEncoderd), std::vector<std::string>());
}

TEST_F(EncoderDaemonConfigTest, EveryKeyChangesTheConfiguration) {
  const EncoderDaemonConfig plain = *Config({});
  EXPECT_EQ(plain.encoder.text_encoder_path, folder / "text_encoder");
  EXPECT_EQ(plain.encoder.tokenizer_path, folder / "tokenizer");
  EXPECT_EQ(Config({{"encoder.listen", "127.0.0.1:9"}})->listen.port, 9);
  EXPECT_NE(plain.listen.port, 9);
  EXPECT_TRUE(Config({{"insecure", "true"}})->insecure);
  EXPECT_FALSE(plain.insecure);
  EXPECT_EQ(Config({{"log.level", "error"}})->log_level, LogLevel::kError);
  EXPECT_EQ(plain.log_level, LogLevel::kInfo);
  EXPECT_TRUE(Config({{"log.prompts", "true"}})->log_prompts);
  EXPECT_FALSE(plain.log_prompts);
  EXPECT_EQ(Config({{"encoder.prompt_byte_limit", "77"}})->prompt_byte_limit, 77);
  EXPECT_NE(plain.prompt_byte_limit, 77);
  EXPECT_EQ(Config({{"encoder.device", "cuda"}})->encoder.device, "cuda");
  EXPECT_EQ(plain.encoder.device, "auto");
  EXPECT_EQ(Config({{"encoder.torch_dtype", "float32"}})->encoder.torch_dtype, "float32");
  EXPECT_EQ(plain.encoder.torch_dtype, "auto");
  EXPECT_EQ(Config({{"encoder.threads", "3"}})->encoder.threads, 3);
  EXPECT_EQ(plain.encoder.threads, 0);
  EXPECT_EQ(Config({{"text_encoder_path", "/elsewhere"}})->encoder.text_encoder_path, "/elsewhere");
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
  const EncoderFacts& facts() const override { return facts_; }
  Conditioning Encode(const std::string&, const EncodeParameters&, const CancelToken&) override { return {}; }

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
