#include "render_node/service/render_daemon_config.h"

#include <string>
#include <utility>

#include "common/config/options.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

Settings WithRequired(Values values) {
  values.emplace_back("model_path", "checkpoint");
  values.emplace_back("render.state_dir", "state");
  return SettingsForTest(values);
}

absl::StatusOr<RenderDaemonConfig> Config(const Values& values) {
  return RenderDaemonConfig::FromSettings(WithRequired(values));
}

std::string Refusal(const Settings& settings) {
  const absl::StatusOr<RenderDaemonConfig> config = RenderDaemonConfig::FromSettings(settings);
  return config.ok() ? "" : std::string(config.status().message());
}

bool Mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(RenderDaemonConfig, ReadsEveryKeyOfTheProgram) {
  const Settings settings = WithRequired({});
  ASSERT_TRUE(RenderDaemonConfig::FromSettings(settings).ok());
  EXPECT_EQ(settings.UnreadKeys(kRenderd), std::vector<std::string>());
}

TEST(RenderDaemonConfig, EveryKeyChangesTheConfiguration) {
  const RenderDaemonConfig plain = *Config({});
  EXPECT_EQ(plain.renderer.transformer_path, "checkpoint/transformer");
  EXPECT_EQ(plain.renderer.vae_path, "checkpoint/vae");
  EXPECT_EQ(plain.renderer.scheduler_path, "checkpoint/scheduler");
  EXPECT_EQ(Config({{"transformer_path", "t.safetensors"}})->renderer.transformer_path, "t.safetensors");
  EXPECT_EQ(Config({{"vae_path", "v.safetensors"}})->renderer.vae_path, "v.safetensors");
  EXPECT_EQ(plain.state_dir, "state");

  EXPECT_EQ(plain.listen, (Address{"127.0.0.1", 7872}));
  EXPECT_EQ(Config({{"render.listen", "localhost:0"}})->listen, (Address{"localhost", 0}));
  EXPECT_FALSE(plain.insecure);
  EXPECT_TRUE(Config({{"insecure", "true"}})->insecure);
  EXPECT_EQ(plain.log_level, LogLevel::kInfo);
  EXPECT_EQ(Config({{"log.level", "error"}})->log_level, LogLevel::kError);
  EXPECT_FALSE(plain.log_prompts);
  EXPECT_TRUE(Config({{"log.prompts", "true"}})->log_prompts);
  EXPECT_TRUE(plain.encoders.empty());
  EXPECT_EQ(Config({{"render.encoders", "127.0.0.1:1"}, {"render.encoders", "[::1]:2"}})->encoders,
            (std::vector<Address>{{"127.0.0.1", 1}, {"::1", 2}}));
  EXPECT_NE(plain.encode_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(Config({{"render.encode_timeout_s", "1.5"}})->encode_timeout, std::chrono::milliseconds(1500));
  EXPECT_NE(plain.queue_limit, 7);
  EXPECT_EQ(Config({{"render.queue_limit", "7"}})->queue_limit, 7);
  EXPECT_FALSE(plain.default_shift);
  EXPECT_EQ(Config({{"scheduler.shift", "6.5"}})->default_shift, 6.5);

  EXPECT_EQ(plain.renderer.device, "auto");
  EXPECT_EQ(Config({{"devices.dit", "cuda"}})->renderer.device, "cuda");
  EXPECT_EQ(plain.renderer.vae_device, "auto");
  EXPECT_EQ(Config({{"devices.vae", "cpu"}})->renderer.vae_device, "cpu");
  EXPECT_EQ(plain.renderer.torch_dtype, "auto");
  EXPECT_EQ(Config({{"pipeline.torch_dtype", "float32"}})->renderer.torch_dtype, "float32");
  EXPECT_EQ(plain.renderer.threads, 0);
  EXPECT_EQ(Config({{"render.threads", "3"}})->renderer.threads, 3);
  EXPECT_EQ(plain.renderer.tiled_vae, "auto");
  EXPECT_EQ(Config({{"pytorch.tiled_vae", "off"}})->renderer.tiled_vae, "off");
  EXPECT_EQ(plain.renderer.tile_size, 512);
  EXPECT_EQ(Config({{"pytorch.tile_size", "256"}})->renderer.tile_size, 256);
  EXPECT_EQ(plain.renderer.tile_overlap, 64);
  EXPECT_EQ(Config({{"pytorch.tile_overlap", "32"}})->renderer.tile_overlap, 32);
}

TEST(RenderDaemonConfig, TwoPartsMakeACheckpointWithoutAFolder) {
  const absl::StatusOr<RenderDaemonConfig> config = RenderDaemonConfig::FromSettings(SettingsForTest(
      {{"transformer_path", "a/t.safetensors"}, {"vae_path", "b/v.safetensors"}, {"render.state_dir", "state"}}));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->renderer.scheduler_path, "a/scheduler");
}

TEST(RenderDaemonConfig, NamesTheFlagOfWrongUsage) {
  EXPECT_TRUE(Mentions(Refusal(SettingsForTest({{"render.state_dir", "state"}})), "--model-path"));
  EXPECT_TRUE(Mentions(Refusal(SettingsForTest({{"render.state_dir", "s"}, {"vae_path", "v"}})), "--transformer-path"));
  EXPECT_TRUE(Mentions(Refusal(SettingsForTest({{"model_path", "checkpoint"}})), "--state-dir"));
  EXPECT_TRUE(Mentions(Refusal(WithRequired({{"render.listen", "nowhere"}})), "--listen"));
  EXPECT_TRUE(Mentions(Refusal(WithRequired({{"render.encoders", "127.0.0.1:0"}})), "--encoder"));
  EXPECT_TRUE(
      Mentions(Refusal(WithRequired({{"pytorch.tile_size", "64"}, {"pytorch.tile_overlap", "40"}})), "--tile-overlap"));
}

TEST(RenderDaemonConfig, PlainTextLeavesThisMachineOnlyWhenToldSo) {
  for (const char* key : {"render.listen", "render.encoders"}) {
    EXPECT_EQ(Config({{key, "192.168.1.5:80"}}).status().code(), absl::StatusCode::kFailedPrecondition) << key;
    EXPECT_TRUE(Mentions(Refusal(WithRequired({{key, "192.168.1.5:80"}})), "--insecure")) << key;
    EXPECT_TRUE(Config({{key, "192.168.1.5:80"}, {"insecure", "true"}}).ok()) << key;
  }
}

}  // namespace
}  // namespace diptych
