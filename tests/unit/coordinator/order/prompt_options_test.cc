#include "coordinator/order/prompt_options.h"

#include <fstream>

#include "common/error/error.h"
#include "coordinator/order/wrong_wish.h"
#include "gtest/gtest.h"
#include "tests/support/settings_for_test.h"
#include "tests/unit/coordinator/support/temporary_folder.h"

namespace diptych {
namespace {

TEST(Prompt, IsMadeFromTheFlags) {
  const Settings settings = SettingsForTest({{"--system-prompt", "s"},
                                             {"--thinking-content", "t"},
                                             {"--assistant-content", "a"},
                                             {"--force-think-block", "true"},
                                             {"--remove-quotes", "true"},
                                             {"--keep-whitespace", "true"}});
  EXPECT_EQ(MakePrompt("u", ReadPromptOptions(settings)), (PromptParts{"u", "s", "t", "a", true, true, true, ""}));
}

TEST(Prompt, MayBeEmptyButNotMissing) {
  EXPECT_EQ(MakePrompt("", {}), PromptParts{});
  EXPECT_THROW(MakePrompt(std::nullopt, {}), WrongWish);
}

TEST(Prompt, MustBeUtf8) {
  EXPECT_THROW(MakePrompt("\xFF", {}), WrongWish);
  EXPECT_THROW(MakePrompt("u", ReadPromptOptions(SettingsForTest({{"--system-prompt", "\xC3"}}))), WrongWish);
}

TEST(Prompt, OfAConversationStandsAlone) {
  const TestFolder folder;
  const std::string file = folder / "c.json";
  const std::string text = R"({"messages": [{"role": "user", "content": "hi"}]})";
  std::ofstream(file) << text;
  const PromptOptions options = ReadPromptOptions(SettingsForTest({{"--conversation", file}}));
  EXPECT_EQ(MakePrompt(std::nullopt, options).conversation_json, text);
  EXPECT_THROW(MakePrompt("u", options), WrongWish);
  EXPECT_THROW(MakePrompt(std::nullopt,
                          ReadPromptOptions(SettingsForTest({{"--conversation", file}, {"--system-prompt", "s"}}))),
               WrongWish);
  for (const char* wrong : {"{}", "{\"messages\": []}"}) {
    std::ofstream(file) << wrong;
    EXPECT_THROW(MakePrompt(std::nullopt, options), Error) << wrong;
  }
}

TEST(Prompt, OfAReceiptIsChangedOnlyWhereFlagsSayso) {
  const PromptParts base{"u", "s", "t", "a", true, false, false, ""};
  EXPECT_EQ(ChangePrompt(base, std::nullopt, {}), base);
  const PromptOptions options = ReadPromptOptions(SettingsForTest({{"--system-prompt", ""}}));
  EXPECT_EQ(ChangePrompt(base, "new", options), (PromptParts{"new", "", "t", "a", true, false, false, ""}));
}

TEST(Prompt, OfAConversationReceiptIsReplacedAsAWhole) {
  PromptParts base;
  base.conversation_json = "{}";
  EXPECT_EQ(ChangePrompt(base, std::nullopt, {}), base);
  EXPECT_EQ(ChangePrompt(base, "new", {}).user, "new");
  EXPECT_EQ(ChangePrompt(base, "new", {}).conversation_json, "");
  EXPECT_THROW(ChangePrompt(base, std::nullopt, ReadPromptOptions(SettingsForTest({{"--system-prompt", "s"}}))),
               WrongWish);
}

}  // namespace
}  // namespace diptych
