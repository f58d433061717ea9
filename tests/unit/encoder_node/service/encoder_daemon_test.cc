#include "encoder_node/service/encoder_daemon.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/config/options.h"

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

TEST_F(EncoderDaemonConfigTest, LooksForTheTokenizerBesideTheWeightsWhenItIsNoPartOfItsOwn) {
  fs::remove(folder / "tokenizer");
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

EncoderDaemonConfig AnyPort() {
  EncoderDaemonConfig config;
  config.listen = {"127.0.0.1", 0};
  config.prompt_byte_limit = 100;
  return config;
}

// What a process that runs the daemon did.
struct Outcome {
  std::string out;  // stdout and the log
  int wait_status = 0;
};

// Runs `load` in a daemon of its own process and sends SIGTERM when `until` has been printed.
Outcome RunDaemon(const LoadEncoder& load, const std::string& until) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    const absl::Status status = RunEncoderDaemon(AnyPort(), *MakeLogger("test", LogLevel::kInfo), load);
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    _exit(status.ok() ? 0 : 1);
  }
  close(ends[1]);
  Outcome outcome;
  bool asked = false;
  char buffer[512];
  for (ssize_t size; (size = read(ends[0], buffer, sizeof buffer)) > 0;) {
    outcome.out.append(buffer, static_cast<size_t>(size));
    if (!asked && !until.empty() && outcome.out.find(until) != std::string::npos) {
      asked = true;
      kill(child, SIGTERM);
    }
  }
  close(ends[0]);
  waitpid(child, &outcome.wait_status, 0);
  return outcome;
}

TEST(EncoderDaemon, AnnouncesItsPortServesAndStopsInOrder) {
  const Outcome outcome =
      RunDaemon([](const auto&) { return std::make_unique<StubEncoder>(); }, "listening on 127.0.0.1:");
  EXPECT_TRUE(WIFEXITED(outcome.wait_status) && WEXITSTATUS(outcome.wait_status) == 0) << outcome.out;
  const size_t announced = outcome.out.find("{\"listening\":\"127.0.0.1:");
  ASSERT_NE(announced, std::string::npos) << outcome.out;
  EXPECT_LT(announced, outcome.out.find("loaded in")) << "the port is told before the model is loaded";
  EXPECT_EQ(outcome.out.find("127.0.0.1:0"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("stopped"), std::string::npos) << outcome.out;
}

TEST(EncoderDaemon, FailsWhenTheCheckpointIsBad) {
  const Outcome outcome = RunDaemon(
      [](const auto&) -> std::unique_ptr<PromptEncoder> {
        throw Error(ErrorCode::kInvalidArgument, "model.safetensors: tensor norm.weight is missing");
      },
      "");
  EXPECT_TRUE(WIFEXITED(outcome.wait_status) && WEXITSTATUS(outcome.wait_status) == 1) << outcome.out;
  EXPECT_NE(outcome.out.find("tensor norm.weight is missing"), std::string::npos) << outcome.out;
}

TEST(EncoderDaemon, StopsAtOnceWhileLoading) {
  const Outcome outcome = RunDaemon(
      [](const auto&) -> std::unique_ptr<PromptEncoder> {
        for (;;) pause();
      },
      "loading the text encoder");
  EXPECT_TRUE(WIFEXITED(outcome.wait_status) && WEXITSTATUS(outcome.wait_status) == 0) << outcome.out;
}

}  // namespace
}  // namespace diptych
