#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "render_node/dit/config.h"

namespace diptych::dit {
namespace {

std::string TurboWith(const std::string& key, const std::string& value) {
  std::string text =
      R"({"all_patch_size": [2], "all_f_patch_size": [1], "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512],
    "cap_feat_dim": 2560, "dim": 3840, "in_channels": 16, "n_layers": 30, "n_refiner_layers": 2, "norm_eps": 1e-05, "qk_norm": true,
    "rope_theta": 256.0, "t_scale": 1000.0, "n_heads": 30, "n_kv_heads": 30, "siglip_feat_dim": null})";
  if (!key.empty()) text.insert(text.size() - 1, ", \"" + key + "\": " + value);  // the last of two equal keys counts
  return text;
}

TEST(DitConfig, DerivesTheFactsOfZImageTurbo) {
  const Config config = Config::Parse(TurboWith("", ""), "c");
  EXPECT_EQ(config.row_limit(), 1504);
  EXPECT_EQ(config.ffn_dim(), 10240);
  EXPECT_EQ(config.head_dim(), 128);
  EXPECT_EQ(config.timestep_dim(), 256);
  EXPECT_EQ(config.max_latent_side(), 1024);
}

TEST(DitConfig, TheCodeDefaultOf1024PositionsWouldGive992Rows) {
  EXPECT_EQ(Config::Parse(TurboWith("axes_lens", "[1024, 512, 512]"), "c").row_limit(), 992);
}

// What a client fits rows to is what the renderer takes.
TEST(DitConfig, TakesAsManyRowsAsClientsReckonWith) {
  for (const int64_t positions : {34, 65, 66, 1024, 1536}) {
    std::string axes = std::to_string(positions);
    axes.insert(0, 1, '[').append(", 512, 512]");
    EXPECT_EQ(Config::Parse(TurboWith("axes_lens", axes), "c").row_limit(), RowLimitOf(positions)) << positions;
  }
}

TEST(DitConfig, WhatIsMissingIsAsInTheClassOfDiffusers) {
  const Config config = Config::Parse("{}", "c");
  EXPECT_EQ(config.dim, 3840);
  EXPECT_EQ(config.n_layers, 30);
  EXPECT_EQ(config.row_limit(), 992);
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_NE(config.warnings[0].find("992"), std::string::npos);
  EXPECT_EQ(Config::Parse(R"({"axes_lens": [1536, 512, 512]})", "c").Identity(),
            Config::Parse(TurboWith("", ""), "c").Identity());
}

TEST(DitConfig, NamesWhatHasNoEffect) {
  EXPECT_TRUE(Config::Parse(TurboWith("", ""), "c").warnings.empty());
  EXPECT_EQ(Config::Parse(TurboWith("n_kv_heads", "10"), "c").warnings.size(), 1u);
  const Config config = Config::Parse(TurboWith("patch_magic", "3"), "c");
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_EQ(config.warnings[0], "c: not known here and without effect: \"patch_magic\"");
}

TEST(DitConfig, WhatChangesTheModelChangesItsIdentity) {
  const std::string identity = Config::Parse(TurboWith("", ""), "c").Identity();
  EXPECT_EQ(Config::Parse(TurboWith("_name_or_path", "\"x\""), "c").Identity(), identity);
  for (const auto& [key, value] :
       {std::pair{"rope_theta", "512"}, {"t_scale", "999"}, {"axes_lens", "[1024, 512, 512]"}, {"norm_eps", "1e-6"}}) {
    EXPECT_NE(Config::Parse(TurboWith(key, value), "c").Identity(), identity) << key;
  }
}

TEST(DitConfig, RefusesWhatTheModelDoesNotDo) {
  for (const auto& [key, value] : {std::pair<std::string, std::string>{"all_patch_size", "[1]"},
                                   {"all_f_patch_size", "[2]"},
                                   {"axes_dims", "[32, 48, 50]"},
                                   {"axes_dims", "[64, 64]"},
                                   {"axes_dims", "[31, 49, 48]"},
                                   {"axes_lens", "[33, 8, 8]"},
                                   {"qk_norm", "false"},
                                   {"dim", "3841"},
                                   {"siglip_feat_dim", "1152"},
                                   {"quantization_config", "{}"},
                                   {"dim", "\"wide\""}}) {
    EXPECT_THROW(Config::Parse(TurboWith(key, value), "c"), Error) << key << " " << value;
  }
}

}  // namespace
}  // namespace diptych::dit
