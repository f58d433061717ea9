#include "coordinator/order/member_settings.h"

#include "common/config/options.h"
#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"

namespace diptych {
namespace {

TEST(MemberSettings, TakesEveryMemberThatAnOptionSets) {
  const MemberSettings settings = ReadMembers(SettingsForTest({{"--width", "320"},
                                                               {"--height", "640"},
                                                               {"--steps", "7"},
                                                               {"--shift", "2.5"},
                                                               {"--guidance-scale", "3"},
                                                               {"--cfg-truncation", "0.5"},
                                                               {"--cfg-normalization", "2"},
                                                               {"--hidden-layer", "-3"},
                                                               {"--long-prompt-mode", "pool"},
                                                               {"--strength", "0.5"},
                                                               {"--soft-mask", "true"},
                                                               {"--inpaint-crop", "8"}}));
  EXPECT_EQ(settings.values, (PictureSpec{.width = 320,
                                          .height = 640,
                                          .steps = 7,
                                          .shift = 2.5,
                                          .guidance_scale = 3,
                                          .cfg_normalization = 2,
                                          .cfg_truncation = 0.5,
                                          .layer = -3,
                                          .long_prompt_mode = LongPromptMode::kPool,
                                          .strength = 0.5,
                                          .soft_mask = true,
                                          .inpaint_crop = 8}));
  EXPECT_EQ(settings.given.size(), 12u);
  EXPECT_TRUE(settings.open.empty());
}

TEST(MemberSettings, LeavesOpenWhatNobodySays) {
  const MemberSettings settings = ReadMembers(SettingsForTest());
  EXPECT_EQ(settings.values, PictureSpec{}) << "defaults of options and table agree";
  EXPECT_TRUE(settings.open.contains("width"));
  EXPECT_TRUE(settings.open.contains("guidance_scale"));
  EXPECT_FALSE(settings.open.contains("layer"));
  EXPECT_TRUE(settings.given.empty());
}

TEST(MemberSettings, PutsOnlyWhatIsNamed) {
  PictureSpec to;
  PutMembers({.width = 16, .height = 16, .steps = 3}, {"width", "steps"}, to);
  EXPECT_EQ(to, (PictureSpec{.width = 16, .steps = 3}));
}

// An option that names no member would be read by nobody.
TEST(MemberSettings, EveryOptionsMemberIsOne) {
  MemberNames members;
  ForEachMember([&](const auto& member) { members.insert(member.name); });
  for (const OptionInfo* row : AllOptions()) {
    if (row->member.empty()) continue;
    EXPECT_TRUE(members.contains(row->member)) << row->flag;
  }
}

}  // namespace
}  // namespace diptych
