#include "common/config/idle_settings.h"

#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"

namespace diptych {
namespace {

using Lines = std::vector<std::string>;

Lines Idle(ProgramMask program, const std::vector<std::pair<std::string, std::string>>& values) {
  return IdleSettings(SettingsForTest(values), program);
}

TEST(IdleSettings, AreNoneAsTheyCome) {
  EXPECT_EQ(Idle(kRenderd, {}), Lines());
  EXPECT_EQ(Idle(kEncoderd, {}), Lines());
  EXPECT_EQ(Idle(kRenderd,
                 {{"render.encoders", "127.0.0.1:1"}, {"render.encode_timeout_s", "7"}, {"pytorch.tile_size", "256"}}),
            Lines());
}

TEST(IdleSettings, NameWhatTakesTheirEffect) {
  EXPECT_EQ(
      Idle(kRenderd, {{"pytorch.tiled_vae", "off"}, {"pytorch.tile_size", "256"}, {"pytorch.tile_overlap", "32"}}),
      Lines({"pytorch.tile_size has no effect: pytorch.tiled_vae is off",
             "pytorch.tile_overlap has no effect: pytorch.tiled_vae is off"}));
  EXPECT_EQ(Idle(kRenderd, {{"render.encode_timeout_s", "7"}}),
            Lines({"render.encode_timeout_s has no effect: no encoder is configured (render.encoders)"}));
  EXPECT_EQ(Idle(kRenderd, {{"render.queue_limit", "5"}, {"render.client_queue_limit", "50"}}),
            Lines({"render.client_queue_limit has no effect: render.queue_limit is 5, and less"}));
  EXPECT_EQ(Idle(kRenderd, {{"render.batch", "4"}, {"render.encode_ahead", "2"}}),
            Lines({"render.encode_ahead has no effect: render.batch is 4, and as many are encoded"}));
  EXPECT_EQ(Idle(kEncoderd, {{"encoder.connections", "5"}, {"encoder.connections_per_host", "9"}}),
            Lines({"encoder.connections_per_host has no effect: encoder.connections is 5, and less"}));
  EXPECT_EQ(Idle(kEncoderd, {{"log.prompts", "true"}, {"log.level", "error"}}),
            Lines({"log.prompts has no effect: log.level is error, and prompts are logged at info"}));
}

}  // namespace
}  // namespace diptych
