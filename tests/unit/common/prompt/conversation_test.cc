#include "common/prompt/conversation.h"

#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string RefusalOf(const std::string& json) {
  try {
    ParseConversation(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "accepted";
}

TEST(Conversation, ReadsEveryField) {
  const Conversation conversation = ParseConversation(
      R"({"enable_thinking": true, "is_final": false, "messages": [
          {"role": "system", "content": "S"}, {"role": "user", "content": ""},
          {"role": "assistant", "content": "A\n", "thinking": "T \u732b"}]})");
  EXPECT_TRUE(conversation.enable_thinking);
  EXPECT_FALSE(conversation.is_final);
  ASSERT_EQ(conversation.messages.size(), 3u);
  EXPECT_EQ(conversation.messages[0], (Message{Role::kSystem, "S", std::nullopt}));
  EXPECT_EQ(conversation.messages[1], (Message{Role::kUser, "", std::nullopt}));
  EXPECT_EQ(conversation.messages[2], (Message{Role::kAssistant, "A\n", "T \u732b"}));
}

TEST(Conversation, TakesMissingFlagsAsNotThinkingAndFinal) {
  const Conversation conversation = ParseConversation(R"({"messages": []})");
  EXPECT_FALSE(conversation.enable_thinking);
  EXPECT_TRUE(conversation.is_final);
  EXPECT_EQ(conversation, Conversation());
}

TEST(Conversation, TakesANullThinkingAsAbsent) {
  const Conversation conversation =
      ParseConversation(R"({"messages": [{"role": "assistant", "content": "", "thinking": null}]})");
  EXPECT_EQ(conversation.messages[0].thinking, std::nullopt);
}

TEST(Conversation, ComesBackEqualFromItsJson) {
  Conversation conversation;
  conversation.AddSystem("S")
      .AddUser("\"q\" \\ \n\u732b\U0001f431")
      .AddAssistant()
      .AddAssistant("A", "")
      .AddAssistant("B", "T");
  conversation.enable_thinking = true;
  conversation.is_final = false;
  EXPECT_EQ(ParseConversation(ConversationJson(conversation)), conversation);
}

TEST(Conversation, WritesTheDocumentedFormAndLeavesOutAbsentThinking) {
  Conversation conversation;
  conversation.AddUser("P").AddAssistant("A", "T");
  EXPECT_EQ(ConversationJson(conversation),
            R"({"enable_thinking":false,"is_final":true,"messages":[{"role":"user","content":"P"},)"
            R"({"role":"assistant","content":"A","thinking":"T"}]})");
}

// As chat programs and OpenAI's clients keep them.
TEST(Conversation, IsReadInTheFormsThatPeopleHave) {
  const Conversation wanted = Conversation().AddSystem("s").AddUser("a red star");
  for (const char* text :
       {R"([{"role": "system", "content": "s"}, {"role": "user", "content": "a red star"}])",
        R"({"messages": [{"role": "developer", "content": "s"}, "a red star"], "model": "x", "temperature": 1})",
        R"([{"role": "system", "content": ["s"]},
            {"role": "user", "content": [{"type": "text", "text": "a red"}, {"type": "text", "text": " star"}]}])"}) {
    EXPECT_EQ(ParseConversation(text), wanted) << text;
  }
  EXPECT_EQ(ParseConversation("\"a red star\""), Conversation().AddUser("a red star"));
  EXPECT_EQ(ParseConversation("[]"), Conversation());
}

TEST(Conversation, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(RefusalOf(R"({"messages": [{"role": "tool", "content": ""}]})"),
            "conversation: messages[0].role is \"tool\", expected system, user or assistant");
  EXPECT_EQ(RefusalOf(R"({"messages": [{"role": "User", "content": ""}]})"),
            "conversation: messages[0].role is \"User\", expected system, user or assistant");
  EXPECT_EQ(RefusalOf(R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": 3}]})"),
            "conversation: messages[1].content is number, expected a string");
  EXPECT_EQ(RefusalOf(R"({"messages": [{"role": "assistant", "content": "", "thinking": []}]})"),
            "conversation: messages[0].thinking is array, expected a string");
  EXPECT_EQ(RefusalOf(R"({"messages": [{"content": ""}]})"), "conversation: messages[0].role is missing");
  EXPECT_EQ(RefusalOf(R"({"messages": [{"role": "user"}]})"), "conversation: messages[0].content is missing");
  EXPECT_EQ(RefusalOf(R"({"messages": [3]})"), "conversation: messages[0] is number, expected an object");
  EXPECT_EQ(RefusalOf(R"({"messages": {}})"), "conversation: messages is object, expected an array");
  EXPECT_EQ(RefusalOf("{}"), "conversation: messages is missing");
  EXPECT_EQ(RefusalOf(R"({"enable_thinking": 1, "messages": []})"),
            "conversation: enable_thinking is number, expected true or false");
  EXPECT_EQ(RefusalOf(R"({"is_final": null, "messages": []})"),
            "conversation: is_final is null, expected true or false");
  EXPECT_EQ(RefusalOf("3"), "conversation: is number, expected an object with messages, or a list of them");
  EXPECT_EQ(RefusalOf(R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])"),
            "conversation: messages[0].content[0] is of type \"image_url\", and only text is understood");
  EXPECT_EQ(RefusalOf(R"([{"role": "user", "content": [{"type": "text", "text": 3}]}])"),
            "conversation: messages[0].content[0].text is number, expected a string");
  EXPECT_EQ(RefusalOf("[\n{\"role\": \"user\",\n \"content\": oh}]"),
            "conversation: is not JSON: wrong at byte 32, in line 3");
  EXPECT_EQ(RefusalOf("{\"messages\": ["), "conversation: is not JSON: it ends too early");
}

TEST(Conversation, RefusesInvalidUtf8BothWays) {
  EXPECT_EQ(RefusalOf("{\"messages\": [{\"role\": \"user\", \"content\": \"\xFF\"}]}"),
            "conversation is not valid UTF-8: byte 0xFF at offset 43 does not begin or complete a character");
  EXPECT_NE(RefusalOf(R"({"messages": [{"role": "user", "content": "\ud800"}]})"), "accepted");
  EXPECT_THROW(ConversationJson(Conversation().AddUser("\xC3")), Error);
  EXPECT_THROW(ConversationJson(Conversation().AddAssistant("", "\xC3")), Error);
}

TEST(Conversation, ThatIsNoJsonIsRefusedInOurWords) {
  const auto refusal = [](const std::string& text) -> std::string {
    try {
      ParseConversation(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(R"({"messages":[{"role":"user","content":"x"}],"k":1e999})"),
            "conversation: is not JSON: a number is out of range");
  EXPECT_EQ(refusal(std::string(400'000, '[')), "conversation: nested deeper than 64 levels");
}

}  // namespace
}  // namespace diptych
