#include "common/wire/prompt_codec.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(PromptCodec, EveryPartSurvivesTheJourney) {
  PromptParts parts;
  parts.user = "a cat";
  parts.system = "You paint.";
  parts.thinking = "calm";
  parts.assistant = "done";
  parts.force_think_block = true;
  parts.clean_whitespace = false;
  parts.remove_quotes = true;
  const PromptParts back = PromptPartsFromProto(ToProto(parts));
  EXPECT_EQ(back.user, "a cat");
  EXPECT_EQ(back.system, "You paint.");
  EXPECT_EQ(back.thinking, "calm");
  EXPECT_EQ(back.assistant, "done");
  EXPECT_TRUE(back.force_think_block);
  EXPECT_FALSE(back.clean_whitespace);
  EXPECT_TRUE(back.remove_quotes);
}

TEST(PromptCodec, AnEmptyMessageIsTheEmptyPromptWithCleaningOn) {
  const PromptParts parts = PromptPartsFromProto(v1::Prompt());
  EXPECT_EQ(parts.user, "");
  EXPECT_FALSE(parts.system.has_value());
  EXPECT_TRUE(parts.clean_whitespace);
  EXPECT_FALSE(parts.force_think_block);
  EXPECT_FALSE(parts.remove_quotes);
}

TEST(PromptCodec, AnEmptySystemTextIsNotTheSameAsNone) {
  PromptParts parts;
  parts.system = "";
  EXPECT_TRUE(ToProto(parts).has_system());
  parts.system.reset();
  EXPECT_FALSE(ToProto(parts).has_system());
}

TEST(PromptCodec, NoticesEachFieldThatAConversationExcludes) {
  v1::Prompt conversation;
  conversation.set_conversation_json("[]");
  EXPECT_FALSE(HasPromptParts(conversation));
  const auto with = [&](auto set) {
    v1::Prompt prompt = conversation;
    set(&prompt);
    return HasPromptParts(prompt);
  };
  EXPECT_TRUE(with([](v1::Prompt* p) { p->set_user("x"); }));
  EXPECT_TRUE(with([](v1::Prompt* p) { p->set_system(""); }));
  EXPECT_TRUE(with([](v1::Prompt* p) { p->set_thinking("x"); }));
  EXPECT_TRUE(with([](v1::Prompt* p) { p->set_assistant("x"); }));
  EXPECT_TRUE(with([](v1::Prompt* p) { p->set_force_think_block(true); }));
  EXPECT_TRUE(with([](v1::Prompt* p) { p->set_remove_quotes(true); }));
  EXPECT_TRUE(with([](v1::Prompt* p) { p->set_keep_whitespace(true); }));
}

}  // namespace
}  // namespace diptych
