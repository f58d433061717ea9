#include "encoder_node/service/encoder_daemon.h"

#include <grpcpp/client_context.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
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
#include "tests/support/cpu_time.h"
#include "tests/support/notify_socket.h"
#include "tests/support/scrape.h"
#include "tests/support/settings_for_test.h"
#include "tests/unit/encoder_node/service/fake_prompt_encoder.h"

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
      {options::kInsecure.info, "true", [](const C& c) { return c.credentials.insecure; }},
      {options::kTlsCert.info, "c", [](const C& c) { return c.credentials.cert == "c"; }},
      {options::kTlsKey.info, "k", [](const C& c) { return c.credentials.key == "k"; }},
      {options::kTlsCa.info, "a", [](const C& c) { return c.credentials.ca == "a"; }},
      {options::kIgnoreMemory.info, "true", [](const C& c) { return c.encoder.ignore_memory; }},
      {options::kFingerprintCache.info, "/kept", [](const C& c) { return c.encoder.fingerprint_cache == "/kept"; }},
      {options::kModelPath.info, "m",
       [](const C& c) {
         return c.encoder.text_encoder_path == "m/text_encoder" && c.encoder.tokenizer_path == "m/tokenizer";
       }},
      {options::kTextEncoderPath.info, "/elsewhere",
       [](const C& c) { return c.encoder.text_encoder_path == "/elsewhere"; }},
      {options::kEncoderListen.info, "127.0.0.1:9", [](const C& c) { return c.listen.port == 9; }},
      {options::kEncoderMetricsListen.info, "127.0.0.1:9",
       [](const C& c) {
         return c.metrics_listen == Address{"127.0.0.1", 9};
       }},
      {options::kEncoderConnections.info, "77", [](const C& c) { return c.connections.in_all == 77; }},
      {options::kEncoderConnectionsPerHost.info, "7", [](const C& c) { return c.connections.per_host == 7; }},
      {options::kEncoderWaiting.info, "77", [](const C& c) { return c.line.prompts == 77; }},
      {options::kEncoderWaitingPerHost.info, "7", [](const C& c) { return c.line.prompts_per_host == 7; }},
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
  EXPECT_EQ(Config({{"encoder.metrics_listen", "0.0.0.0:1"}}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Config({{"encoder.metrics_listen", "0.0.0.0:1"}, {"insecure", "true"}}).ok());
}

class StubEncoder final : public PromptEncoder {
 public:
  StubEncoder() { facts_.warnings = {"there is more in this checkpoint"}; }
  const EncoderFacts& facts() const override { return facts_; }
  Conditioning Encode(const EncodeInput&, const EncodeParameters&, const Pause&) override { return {}; }
  std::vector<int64_t> TokenIds(const EncodeInput&) const override { return {}; }

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

TEST(EncoderDaemon, CostsNextToNothingWhileItIsIdle) {
  const EncoderDaemonConfig config = FreePort();
  std::ostringstream lines;
  const auto log = MakeStreamLogger(lines, LogLevel::kInfo);
  double least = 100;
  std::thread user;
  const absl::Status status = RunEncoderDaemon(config, *log, [&](const TextEncoderOptions&) {
    user = std::thread([&] {
      while (Describe(config.listen) != grpc::StatusCode::OK) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      for (int second = 0; second < 5 && least >= 0.5; ++second) {  // what is left of its start does not count
        const CpuTimer timer;
        std::this_thread::sleep_for(std::chrono::seconds(1));
        least = std::min(least, 100 * timer.Seconds());
      }
      kill(getpid(), SIGTERM);
    });
    return std::make_unique<StubEncoder>();
  });
  user.join();
  EXPECT_TRUE(status.ok()) << status;
  std::printf("an idle encoder daemon: %.2f %% of a core\n", least);
  EXPECT_LT(least, 2 * kTimeAllowance);
}

TEST(EncoderDaemon, TellsTheServiceManagerAndPrometheusWhatItDid) {
  NotifySocket manager;
  setenv("NOTIFY_SOCKET", manager.path().c_str(), 1);
  setenv("WATCHDOG_USEC", "100000", 1);
  EncoderDaemonConfig config = FreePort();
  config.metrics_listen = FreePort().listen;
  std::ostringstream lines;
  const auto log = MakeStreamLogger(lines, LogLevel::kInfo);
  bool ready = false, told = false, alive = false;
  std::map<std::string, double> before, after;
  std::thread user;
  const absl::Status status = RunEncoderDaemon(config, *log, [&](const TextEncoderOptions&) {
    user = std::thread([&] {
      ready = manager.Await("READY=1") && manager.Await("STATUS=0 prompts since start");
      before = Scrape(config.metrics_listen->port);
      for (const char* prompt : {"a cat", "a dog", "\xff"}) {
        grpc::ClientContext context;
        v1::EncodeRequest request;
        request.mutable_prompt()->set_user(prompt);
        v1::EncodeResponse response;
        const auto channel = MakeChannel(config.listen);
        const auto reader = v1::Encoder::NewStub(channel)->Encode(&context, request);
        while (reader->Read(&response)) {
        }
        reader->Finish();
      }
      told = manager.Await("STATUS=2 prompts since start");
      after = Scrape(config.metrics_listen->port);
      alive = manager.Await("WATCHDOG=1");
      kill(getpid(), SIGTERM);
    });
    return std::make_unique<FakePromptEncoder>();
  });
  user.join();
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(ready && told && alive) << lines.str();
  EXPECT_EQ(manager.Drain().front(), "STATUS=loading the model");
  EXPECT_EQ(manager.Count("STOPPING=1\nSTATUS=stopping"), 1);
  EXPECT_NE(lines.str().find("metrics at http://" + config.metrics_listen->ToString() + "/metrics"), std::string::npos)
      << lines.str();
  EXPECT_EQ(before.at("diptych_prompts_total{outcome=\"ok\"}"), 0);
  EXPECT_EQ(after.at("diptych_prompts_total{outcome=\"ok\"}"), 2);
  EXPECT_EQ(after.at("diptych_prompts_total{outcome=\"invalid_argument\"}"), 1);
  EXPECT_EQ(before.at("diptych_prompt_tokens_total"), 0);
  EXPECT_GT(after.at("diptych_prompt_tokens_total"), 2);
  EXPECT_EQ(after.at("diptych_encode_seconds_count"), 2);
  EXPECT_EQ(after.at("diptych_encode_wait_seconds_count"), 2);
  EXPECT_GT(after.at("diptych_refused_prompt_bytes_total"), 0);
  EXPECT_TRUE(after.contains("diptych_process_resident_memory_bytes"));
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
