#include "common/prompt/chat_formatter.h"

#include <string>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

constexpr char kUserTurn[] = "<|im_start|>user\nP<|im_end|>\n";

PromptParts Parts(const std::string& system, const std::string& thinking, const std::string& assistant,
                  bool force = false) {
  return {.user = "P", .system = system, .thinking = thinking, .assistant = assistant, .force_think_block = force};
}

// What llm-dit-experiments gives for every combination of parts.
TEST(FormatPrompt, GivesTheReferencesBytes) {
  const std::string user = kUserTurn;
  EXPECT_EQ(FormatPrompt(Parts("", "", "")), user + "<|im_start|>assistant\n");
  EXPECT_EQ(FormatPrompt(Parts("S", "", "")), "<|im_start|>system\nS<|im_end|>\n" + user + "<|im_start|>assistant\n");
  EXPECT_EQ(FormatPrompt(Parts("", "", "", true)), user + "<|im_start|>assistant\n<think>\n\n</think>\n\n");
  EXPECT_EQ(FormatPrompt(Parts("", "T", "")), user + "<|im_start|>assistant\n<think>\nT\n</think>\n\n");
  EXPECT_EQ(FormatPrompt(Parts("", "", "A")), user + "<|im_start|>assistant\nA<|im_end|>");
  EXPECT_EQ(FormatPrompt(Parts("", "T", "A")), user + "<|im_start|>assistant\n<think>\nT\n</think>\n\nA<|im_end|>");
  EXPECT_EQ(FormatPrompt(Parts("", "", "A", true)), user + "<|im_start|>assistant\n<think>\n\n</think>\n\nA<|im_end|>");
  EXPECT_EQ(FormatPrompt(Parts("S", "T", "A")),
            "<|im_start|>system\nS<|im_end|>\n" + user + "<|im_start|>assistant\n<think>\nT\n</think>\n\nA<|im_end|>");
  EXPECT_EQ(FormatPrompt(PromptParts()), "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n");
}

TEST(FormatPrompt, WritesOneBlockWhenThinkingIsBothGivenAndForced) {
  EXPECT_EQ(FormatPrompt(Parts("", "T", "", true)), FormatPrompt(Parts("", "T", "")));
}

TEST(FormatPrompt, CleansEveryPartUnlessToldNotTo) {
  PromptParts parts{.user = " P\tQ\n\n\n", .system = "\tS  S ", .thinking = " T\n\n\n\nT", .assistant = "A \u3000A\n"};
  EXPECT_EQ(FormatPrompt(parts),
            "<|im_start|>system\nS S<|im_end|>\n<|im_start|>user\nP Q<|im_end|>\n"
            "<|im_start|>assistant\n<think>\nT\n\nT\n</think>\n\nA A<|im_end|>");
  parts.keep_whitespace = true;
  EXPECT_EQ(FormatPrompt(parts),
            "<|im_start|>system\n\tS  S <|im_end|>\n<|im_start|>user\n P\tQ\n\n\n<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n T\n\n\n\nT\n</think>\n\nA \u3000A\n<|im_end|>");
}

TEST(FormatPrompt, RemovesQuotesFromEveryPartWhenAsked) {
  PromptParts parts{.user = "\"P\"", .system = "S\"", .thinking = "\"T", .assistant = "A\"A"};
  EXPECT_NE(FormatPrompt(parts).find("user\n\"P\"<"), std::string::npos);
  parts.remove_quotes = true;
  EXPECT_EQ(FormatPrompt(parts), FormatPrompt({.user = "P", .system = "S", .thinking = "T", .assistant = "AA"}));
}

// Quotes go after cleaning: the spaces beside them stay.
TEST(FormatPrompt, CleansBeforeItRemovesQuotes) {
  EXPECT_EQ(FormatPrompt({.user = "\" P \"", .remove_quotes = true}),
            "<|im_start|>user\n P <|im_end|>\n<|im_start|>assistant\n");
}

TEST(FormatPrompt, DropsPartsThatAreEmptyAfterCleaning) {
  EXPECT_EQ(FormatPrompt(Parts(" \n", "\t", " ")), FormatPrompt(Parts("", "", "")));
  EXPECT_EQ(FormatPrompt({.user = "P", .system = "\"", .thinking = "\"\"", .remove_quotes = true}),
            FormatPrompt(Parts("", "", "")));
}

TEST(FormatPrompt, KeepsControlTokensThatAUserTypes) {
  EXPECT_EQ(FormatPrompt({.user = "a<|im_end|><think>"}),
            "<|im_start|>user\na<|im_end|><think><|im_end|>\n<|im_start|>assistant\n");
}

TEST(FormatPrompt, NamesThePartThatIsNotUtf8) {
  const auto refusal = [](const PromptParts& parts) -> std::string {
    try {
      FormatPrompt(parts);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  };
  const std::string rest = " is not valid UTF-8: byte 0xFF at offset 1 does not begin or complete a character";
  EXPECT_EQ(refusal({.user = "a\xFF"}), "prompt" + rest);
  EXPECT_EQ(refusal({.user = "", .system = "a\xFF"}), "system prompt" + rest);
  EXPECT_EQ(refusal({.user = "", .thinking = "a\xFF"}), "thinking content" + rest);
  EXPECT_EQ(refusal({.user = "", .assistant = "a\xFF"}), "assistant content" + rest);
}

TEST(FormatPrompt, AConversationTakesThePlaceOfTheParts) {
  const std::string json = R"({"messages":[{"role":"user","content":" a  dog"},{"role":"assistant","content":""}]})";
  EXPECT_EQ(FormatPrompt({.conversation_json = json}), "<|im_start|>user\n a  dog<|im_end|>\n<|im_start|>assistant\n");
}

TEST(BuildConversation, AlwaysHasAUserAndAnAssistantTurn) {
  const Conversation plain = BuildConversation({.user = "P"});
  ASSERT_EQ(plain.messages.size(), 2u);
  EXPECT_EQ(plain.messages[1], (Message{Role::kAssistant, "", std::nullopt}));
  EXPECT_FALSE(plain.enable_thinking);
  EXPECT_TRUE(plain.is_final);
  const Conversation forced = BuildConversation(Parts("S", "", "", true));
  ASSERT_EQ(forced.messages.size(), 3u);
  EXPECT_EQ(forced.messages[2], (Message{Role::kAssistant, "", ""}));
  EXPECT_TRUE(forced.enable_thinking);
}

TEST(FormatConversation, IsEmptyWithoutMessages) { EXPECT_EQ(FormatConversation(Conversation()), ""); }

TEST(FormatConversation, GivesEveryAssistantTurnOfAThinkingConversationABlock) {
  Conversation conversation;
  conversation.AddUser("1").AddAssistant("one", "why").AddUser("2").AddAssistant("two").AddUser("3").AddAssistant();
  conversation.messages[0].thinking = "a user's thinking is ignored";
  const std::string plain = FormatConversation(conversation);
  EXPECT_EQ(plain,
            "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\none<|im_end|>\n"
            "<|im_start|>user\n2<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n"
            "<|im_start|>user\n3<|im_end|>\n<|im_start|>assistant\n");
  conversation.enable_thinking = true;
  EXPECT_EQ(FormatConversation(conversation),
            "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\n<think>\nwhy\n</think>\n\none<|im_end|>\n"
            "<|im_start|>user\n2<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\ntwo<|im_end|>\n"
            "<|im_start|>user\n3<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
}

TEST(FormatConversation, ClosesAnEmptyLastTurnUnlessFinal) {
  Conversation conversation;
  conversation.AddUser("P").AddAssistant();
  EXPECT_EQ(FormatConversation(conversation), std::string(kUserTurn) + "<|im_start|>assistant\n");
  conversation.is_final = false;
  EXPECT_EQ(FormatConversation(conversation), std::string(kUserTurn) + "<|im_start|>assistant\n<|im_end|>");
}

TEST(FormatConversation, ClosesEmptyTurnsBeforeTheLast) {
  Conversation conversation;
  conversation.AddAssistant().AddUser("P");
  EXPECT_EQ(FormatConversation(conversation), "<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\nP<|im_end|>");
}

}  // namespace
}  // namespace diptych
