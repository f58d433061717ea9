#include "coordinator/cli/command_options.h"

#include <algorithm>
#include <fstream>

#include "common/conditioning/row_limit.h"
#include "common/error/error.h"
#include "coordinator/cli/command.h"
#include "coordinator/cli/embedding_command.h"
#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

TEST(CommandTable, TogetherTheCommandsTakeEveryKeyOfTheProgram) {
  ProgramMask all = 0;
  for (const CommandEntry& entry : CommandTable()) all |= entry.options;
  EXPECT_EQ(all, kCliAll);
}

TEST(RowLimit, IsTheOneOfTheCheckpointsTransformer) {
  const TestFolder folder;
  const PrivateOptions options = ReadPrivate(SettingsForTest({{"model_path", folder.path.string()}}));
  EXPECT_EQ(RowLimit(options), kTurboRowLimit) << "an encoder host need not have the transformer";
  std::filesystem::create_directories(folder.path / "transformer");
  std::ofstream(folder.path / "transformer" / "config.json") << R"({"axes_lens": [1024, 512, 512]})";
  EXPECT_EQ(RowLimit(options), RowLimitOf(1024));
  EXPECT_EQ(RowLimitOf(1536), 1504) << "Z-Image-Turbo";
}

TEST(PrivateOptions, AreHandedToTheDaemonsThatTheyConcern) {
  const Settings settings = SettingsForTest({{"model_path", "m"},
                                             {"text_encoder_path", "t"},
                                             {"transformer_path", "d"},
                                             {"vae_path", "v"},
                                             {"--torch-dtype", "float32"},
                                             {"--threads", "3"}});
  const PrivateNodesPlan plan = PlanPrivateNodes(ReadPrivate(settings), "bin", nullptr);
  using Arguments = std::vector<std::string>;
  EXPECT_EQ(plan.encoder_arguments, (Arguments{"--config", "none", "--model-path", "m", "--threads", "3", "--log-level",
                                               "info", "--text-encoder-path", "t", "--torch-dtype", "float32"}));
  EXPECT_EQ(plan.renderer_arguments, (Arguments{"--config", "none", "--model-path", "m", "--threads", "3",
                                                "--log-level", "info", "--text-encoder-path", "t", "--transformer-path",
                                                "d", "--vae-path", "v", "--torch-dtype", "float32"}));
}

const Receipt kReceipt = [] {
  Receipt receipt;
  receipt.dtype = "bfloat16";
  receipt.conditioning_dtype = "float32";
  receipt.tiles = DecodeTiles{64, 16};
  return receipt;
}();

TEST(PrivateOptions, HandOnDevicesAndTilesWhenTheCommandLineSaysThem) {
  const PrivateNodesPlan plan = PlanPrivateNodes(ReadPrivate(SettingsForTest({{"--text-encoder-device", "cpu"},
                                                                              {"--dit-device", "cuda"},
                                                                              {"--vae-device", "cpu"},
                                                                              {"--tiled-vae", "true"},
                                                                              {"--tile-size", "256"},
                                                                              {"--tile-overlap", "32"}})),
                                                 "bin", &kReceipt);
  using Arguments = std::vector<std::string>;
  EXPECT_EQ(plan.encoder_arguments, (Arguments{"--config", "none", "--log-level", "info", "--torch-dtype", "float32",
                                               "--text-encoder-device=cpu"}));
  EXPECT_EQ(plan.renderer_arguments,
            (Arguments{"--config", "none", "--log-level", "info", "--torch-dtype", "bfloat16", "--dit-device=cuda",
                       "--vae-device=cpu", "--tiled-vae=on", "--tile-size=256", "--tile-overlap=32"}));
}

TEST(PrivateOptions, TakeWhatIsNotGivenFromTheReceipt) {
  using Arguments = std::vector<std::string>;
  const PrivateOptions options = ReadPrivate(SettingsForTest({{"model_path", "m"}}));
  const Arguments common = {"--config", "none", "--model-path", "m", "--log-level", "info"};
  const auto with = [&](const Arguments& more) {
    Arguments all = common;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const PrivateNodesPlan plan = PlanPrivateNodes(options, "bin", &kReceipt);
  EXPECT_EQ(plan.encoder_arguments, with({"--torch-dtype", "float32"}));
  EXPECT_EQ(plan.renderer_arguments,
            with({"--torch-dtype", "bfloat16", "--tiled-vae=on", "--tile-size=64", "--tile-overlap=16"}));

  Receipt whole = kReceipt;
  whole.tiles = DecodeTiles{};
  EXPECT_EQ(PlanPrivateNodes(options, "bin", &whole).renderer_arguments.back(), "--tiled-vae=off");
  Receipt old = kReceipt;
  old.tiles.reset();
  EXPECT_EQ(PlanPrivateNodes(options, "bin", &old).renderer_arguments, with({"--torch-dtype", "bfloat16"}));
  EXPECT_EQ(PlanPrivateNodes(options, "bin", nullptr).renderer_arguments, common);
}

TEST(PrivateOptions, FindTheTokenizerWhereTheEncoderDoes) {
  const TestFolder folder;
  std::filesystem::create_directories(folder / "model/tokenizer");
  std::filesystem::create_directory(folder / "other");
  for (const char* file : {"model/tokenizer/tokenizer.json", "other/tokenizer.json", "other/model.safetensors"})
    std::ofstream(folder / file) << "{}";
  PrivateOptions options;
  options.model_path = folder / "model";
  EXPECT_EQ(options.TokenizerPlace(), folder / "model/tokenizer");
  options.text_encoder_path = folder / "other/model.safetensors";
  EXPECT_EQ(options.TokenizerPlace(), folder / "other");
}

}  // namespace
}  // namespace diptych
