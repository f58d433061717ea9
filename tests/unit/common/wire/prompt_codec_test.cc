#include "common/wire/prompt_codec.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(PromptCodec, EveryPartSurvivesTheJourney) {
  const PromptParts parts{"a cat", "You paint.", "calm", "done", true, true, true, "{}"};
  const absl::StatusOr<PromptParts> back = FromProto(ToProto(parts));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, parts);
}

TEST(PromptCodec, AnEmptyMessageIsTheEmptyPrompt) {
  const absl::StatusOr<PromptParts> parts = FromProto(v1::Prompt());
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_EQ(*parts, PromptParts());
}

TEST(PromptCodec, AnEmptySystemTextIsTheSameAsNone) {
  v1::Prompt prompt;
  prompt.set_system("");
  EXPECT_EQ(*FromProto(prompt), PromptParts());
  EXPECT_FALSE(ToProto(PromptParts()).has_system());
}

TEST(PromptCodec, RefusesATemplateUntilThereAreTemplates) {
  v1::Prompt prompt;
  prompt.set_template_name("portrait");
  const absl::Status status = FromProto(prompt).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("template_name is reserved"), std::string::npos) << status;
}

}  // namespace
}  // namespace diptych
