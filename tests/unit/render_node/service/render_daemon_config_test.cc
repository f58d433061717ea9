#include "render_node/service/render_daemon_config.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "common/config/options.h"
#include "common/config/value_text.h"
#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"

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

TEST(RenderDaemonConfig, EveryKeyChangesTheConfiguration) {
  using C = RenderDaemonConfig;
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
      {options::kRenderAdminNames.info, "operator",
       [](const C& c) { return c.admin_names == std::vector<std::string>{"operator"}; }},
      {options::kIgnoreMemory.info, "true", [](const C& c) { return c.renderer.ignore_memory; }},
      {options::kFingerprintCache.info, "/kept", [](const C& c) { return c.renderer.fingerprint_cache == "/kept"; }},
      {options::kTextEncoderPath.info, "t", [](const C& c) { return c.renderer.encoder_path == "t"; }},
      {options::kModelPath.info, "m",
       [](const C& c) {
         return c.renderer.transformer_path == "m/transformer" && c.renderer.vae_path == "m/vae" &&
                c.renderer.scheduler_path == "m/scheduler";
       }},
      {options::kTransformerPath.info, "t", [](const C& c) { return c.renderer.transformer_path == "t"; }},
      {options::kVaePath.info, "v", [](const C& c) { return c.renderer.vae_path == "v"; }},
      {options::kRenderListen.info, "localhost:0",
       [](const C& c) {
         return c.listen == Address{"localhost", 0};
       }},
      {options::kRenderMetricsListen.info, "127.0.0.1:9",
       [](const C& c) {
         return c.metrics_listen == Address{"127.0.0.1", 9};
       }},
      {options::kRenderEncoders.info, "[::1]:2",
       [](const C& c) {
         return c.encoders == std::vector<Address>{{"::1", 2}};
       }},
      {options::kRenderStateDir.info, "s", [](const C& c) { return c.state_dir == "s"; }},
      {options::kRenderThreads.info, "3", [](const C& c) { return c.renderer.threads == 3; }},
      {options::kRenderConnections.info, "77", [](const C& c) { return c.connections.in_all == 77; }},
      {options::kRenderConnectionsPerHost.info, "7", [](const C& c) { return c.connections.per_host == 7; }},
      {options::kRenderQueueLimit.info, "7", [](const C& c) { return c.limits.waiting == 7; }},
      {options::kRenderClientQueueLimit.info, "8", [](const C& c) { return c.limits.client_waiting == 8; }},
      {options::kRenderMaxPixels.info, "65536", [](const C& c) { return c.allowed.pixels == 65536; }},
      {options::kRenderMaxSteps.info, "12", [](const C& c) { return c.allowed.steps == 12; }},
      {options::kRenderMaxPromptTokens.info, "77", [](const C& c) { return c.allowed.prompt_tokens == 77; }},
      {options::kRenderClientWorkLimit.info, "9", [](const C& c) { return c.client_work_limit == 9; }},
      {options::kRenderEncodeAhead.info, "5", [](const C& c) { return c.limits.encode_ahead == 5; }},
      {options::kRenderBatch.info, "4", [](const C& c) { return c.batch == 4; }},
      {options::kRenderPreviewEvery.info, "4", [](const C& c) { return c.preview_every == 4; }},
      {options::kRenderKeepDays.info, "0.5", [](const C& c) { return c.retention.age_ms == 43'200'000; }},
      {options::kRenderKeepJobs.info, "6", [](const C& c) { return c.retention.jobs == 6; }},
      {options::kRenderHostQueueLimit.info, "4", [](const C& c) { return c.limits.host_jobs == 4; }},
      {options::kRenderHostQueueMegabytes.info, "5", [](const C& c) { return c.limits.host_bytes == 5'000'000; }},
      {options::kRenderInputsMegabytes.info, "6", [](const C& c) { return c.inputs.all_bytes == 6'000'000; }},
      {options::kRenderHostInputsMegabytes.info, "5", [](const C& c) { return c.inputs.host_bytes == 5'000'000; }},
      {options::kRenderMinFreeMegabytes.info, "7", [](const C& c) { return c.min_free_bytes == 7'000'000; }},
      {options::kRenderKeepMegabytes.info, "3", [](const C& c) { return c.retention.bytes == 3'000'000; }},
      {options::kRenderStopTimeout.info, "2.5",
       [](const C& c) { return c.stop_timeout == std::chrono::milliseconds(2500); }},
      {options::kRenderEncodeTimeout.info, "1.5",
       [](const C& c) { return c.encode_timeout == std::chrono::milliseconds(1500); }},
      {options::kRenderEncoderPatience.info, "2.5",
       [](const C& c) { return c.encoder_patience == std::chrono::milliseconds(2500); }},
      {options::kRenderEncoderFingerprint.info, std::string(64, 'a'),
       [](const C& c) { return c.encoder_fingerprint == std::string(64, 'a'); }},
      {options::kRenderConditioningMemory.info, "3", [](const C& c) { return c.conditioning_memory == 3 << 20; }},
      {options::kRenderConditioningDisk.info, "5", [](const C& c) { return c.conditioning_disk == 5 << 20; }},
      {options::kDitDevice.info, "cuda", [](const C& c) { return c.renderer.device == "cuda"; }},
      {options::kVaeDevice.info, "cpu", [](const C& c) { return c.renderer.vae_device == "cpu"; }},
      {options::kRenderTorchDtype.info, "float32", [](const C& c) { return c.renderer.torch_dtype == "float32"; }},
      {options::kShift.info, "6.5", [](const C& c) { return c.default_shift == 6.5; }},
      {options::kTiledVae.info, "off", [](const C& c) { return c.renderer.tiled_vae == "off"; }},
      {options::kTileSize.info, "256", [](const C& c) { return c.renderer.tile_size == 256; }},
      {options::kTileOverlap.info, "32", [](const C& c) { return c.renderer.tile_overlap == 32; }},
      {options::kUseCustomScheduler.info, "true", [](const C& c) { return c.use_custom_scheduler; }},
  };
  for (const OptionInfo* info : AllOptions()) {
    if ((info->programs & kRenderd) == 0 || IsLoadersOwn(*info)) continue;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return &r.option == info; });
    ASSERT_NE(row, rows.end()) << "no row says what " << info->flag << " changes";
    EXPECT_FALSE(row->is_it(*Config({}))) << info->flag;
    // The last one counts: of a key that WithRequired gives too, the row's.
    Values values = {{"model_path", "checkpoint"}, {"render.state_dir", "state"}};
    values.emplace_back(OptionName(*info), row->value);
    EXPECT_TRUE(row->is_it(*RenderDaemonConfig::FromSettings(SettingsForTest(values)))) << info->flag;
  }
}

TEST(RenderDaemonConfig, KnowsWhetherAnEncoderIsOnThisHost) {
  EXPECT_FALSE(Config({})->renderer.encoder_here);
  EXPECT_EQ(Config({})->renderer.encoder_path, "checkpoint/text_encoder");
  EXPECT_TRUE(Config({{"render.encoders", "127.0.0.1:1"}})->renderer.encoder_here);
  EXPECT_FALSE(Config({{"render.encoders", "10.0.0.7:1"}, {"insecure", "true"}})->renderer.encoder_here);
}

TEST(RenderDaemonConfig, HasTheDefaultsOfTheTable) {
  const RenderDaemonConfig plain = *Config({});
  EXPECT_EQ(plain.renderer.transformer_path, "checkpoint/transformer");
  EXPECT_EQ(plain.renderer.vae_path, "checkpoint/vae");
  EXPECT_EQ(plain.renderer.scheduler_path, "checkpoint/scheduler");
  EXPECT_EQ(plain.state_dir, "state");
  EXPECT_EQ(plain.listen, (Address{"127.0.0.1", 7872}));
  EXPECT_TRUE(plain.encoders.empty());
  EXPECT_FALSE(plain.default_shift);
  EXPECT_EQ(plain.conditioning_memory, int64_t{256} << 20);
  EXPECT_EQ(plain.conditioning_disk, int64_t{4} << 30);
  EXPECT_EQ(plain.encoder_patience.count(), 0);
  EXPECT_EQ(plain.renderer.tiled_vae, "auto");
  EXPECT_EQ(plain.renderer.tile_size, 512);
  EXPECT_EQ(plain.renderer.tile_overlap, 64);
  EXPECT_EQ(Config({{"render.encoders", "127.0.0.1:1"}, {"render.encoders", "[::1]:2"}})->encoders,
            (std::vector<Address>{{"127.0.0.1", 1}, {"::1", 2}}));
}

TEST(RenderDaemonConfig, EncodesAheadAtLeastWhatFillsABatch) {
  EXPECT_EQ(Config({})->limits.encode_ahead, 2);
  EXPECT_EQ(Config({{"render.batch", "4"}})->limits.encode_ahead, 4);
  EXPECT_EQ(Config({{"render.batch", "4"}, {"render.encode_ahead", "3"}})->limits.encode_ahead, 4);
  EXPECT_EQ(Config({{"render.batch", "4"}, {"render.encode_ahead", "9"}})->limits.encode_ahead, 9);
}

TEST(RenderDaemonConfig, TwoPartsMakeACheckpointWithoutAFolder) {
  const absl::StatusOr<RenderDaemonConfig> config = RenderDaemonConfig::FromSettings(SettingsForTest(
      {{"transformer_path", "a/t.safetensors"}, {"vae_path", "b/v.safetensors"}, {"render.state_dir", "state"}}));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->renderer.scheduler_path, "a/scheduler");
}

// The schedule and the defaults are those of the checkpoint, however its part is spelled.
TEST(RenderDaemonConfig, FindsTheFolderOfTheCheckpointFromEverySpellingOfAPart) {
  const std::filesystem::path root = std::filesystem::path(testing::TempDir()) / "diptych_spellings_of_a_part";
  const std::filesystem::path part = root / "transformer";
  std::filesystem::create_directories(part);
  std::ofstream(part / "t.safetensors") << "weights";
  const auto scheduler_of = [](const std::string& given) {
    const absl::StatusOr<RenderDaemonConfig> config = RenderDaemonConfig::FromSettings(
        SettingsForTest({{"transformer_path", given}, {"vae_path", "v"}, {"render.state_dir", "state"}}));
    return config.ok() ? config->renderer.scheduler_path : std::string(config.status().message());
  };
  for (const char* spelling : {"", "/", "//", "/.", "/t.safetensors", "/../transformer"}) {
    EXPECT_EQ(scheduler_of(part.string() + spelling), (root / "scheduler").string()) << spelling;
  }
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(part);
  for (const char* spelling : {".", "./", "t.safetensors", "../transformer", "../transformer/"}) {
    EXPECT_EQ(std::filesystem::weakly_canonical(scheduler_of(spelling)),
              std::filesystem::weakly_canonical(root / "scheduler"))
        << spelling;
  }
  std::filesystem::current_path(before);
  std::filesystem::remove_all(root);
}

TEST(RenderDaemonConfig, NamesTheFlagOfWrongUsage) {
  EXPECT_TRUE(Mentions(Refusal(SettingsForTest({{"render.state_dir", "state"}})), "--model-path"));
  EXPECT_TRUE(Mentions(Refusal(SettingsForTest({{"render.state_dir", "s"}, {"vae_path", "v"}})), "--transformer-path"));
  EXPECT_TRUE(Mentions(Refusal(SettingsForTest({{"model_path", "checkpoint"}})), "--state-dir"));
  EXPECT_TRUE(Mentions(Refusal(WithRequired({{"render.listen", "nowhere"}})), "--listen"));
  EXPECT_TRUE(Mentions(Refusal(WithRequired({{"render.encoders", "127.0.0.1:0"}})), "--encoder"));
  EXPECT_TRUE(Mentions(Refusal(WithRequired({{"render.encoders", "127.0.0.1:5"}, {"render.encoders", "127.0.0.1:5"}})),
                       "127.0.0.1:5 is there twice"));
  EXPECT_TRUE(Mentions(Refusal(WithRequired({{"render.metrics_listen", "9"}})), "--metrics-listen"));
  EXPECT_TRUE(Mentions(Refusal(WithRequired({{"render.encoder_fingerprint", "a1b2"}})), "--encoder-fingerprint"));
  EXPECT_TRUE(
      Mentions(Refusal(WithRequired({{"pytorch.tile_size", "64"}, {"pytorch.tile_overlap", "40"}})), "--tile-overlap"));
}

TEST(RenderDaemonConfig, PlainTextLeavesThisMachineOnlyWhenToldSo) {
  for (const char* key : {"render.listen", "render.encoders", "render.metrics_listen"}) {
    EXPECT_EQ(Config({{key, "192.168.1.5:80"}}).status().code(), absl::StatusCode::kFailedPrecondition) << key;
    EXPECT_TRUE(Mentions(Refusal(WithRequired({{key, "192.168.1.5:80"}})), "--insecure")) << key;
    EXPECT_TRUE(Config({{key, "192.168.1.5:80"}, {"insecure", "true"}}).ok()) << key;
  }
}

}  // namespace
}  // namespace diptych
