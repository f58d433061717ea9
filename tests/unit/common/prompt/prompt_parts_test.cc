#include "common/prompt/prompt_parts.h"

#include <string>
#include <vector>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string RefusalOf(const PromptParts& parts, int64_t byte_limit = 100) {
  try {
    CheckPromptParts("prompt", parts, byte_limit);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(PromptParts, TheEmptyPromptIsValid) { EXPECT_EQ(RefusalOf({}, 0), ""); }

// A field that is added to the struct and forgotten in ForEachPart would be left out of receipts and the job store.
TEST(PromptParts, ForEachPartVisitsEveryField) {
  const PromptParts full{"a", "b", "c", "d", true, true, true, "e"};
  const auto& [user, system, thinking, assistant, force, quotes, whitespace, conversation] = full;
  const std::vector<const void*> fields = {&user,  &system, &thinking,   &assistant,
                                           &force, &quotes, &whitespace, &conversation};
  std::vector<const void*> visited;
  ForEachPart(full, [&](const char*, const auto& value) { visited.push_back(&value); });
  EXPECT_EQ(visited, fields);
}

TEST(PromptParts, CountsAllTextsTogether) {
  EXPECT_EQ(RefusalOf({.user = std::string(60, 'x'), .assistant = std::string(40, 'y')}), "");
  EXPECT_EQ(RefusalOf({.user = std::string(60, 'x'), .system = "z", .thinking = std::string(40, 'y')}),
            "prompt has 101 bytes, the limit is 100");
  EXPECT_EQ(RefusalOf({.conversation_json = std::string(101, ' ')}), "prompt has 101 bytes, the limit is 100");
}

TEST(PromptParts, NamesTheFieldAndTheOffsetOfWhatIsNotUtf8) {
  const std::string rest = " is not valid UTF-8: byte 0xFF at offset 2 does not begin or complete a character";
  EXPECT_EQ(RefusalOf({.user = "ab\xFF"}), "prompt.user" + rest);
  EXPECT_EQ(RefusalOf({.system = "ab\xFF"}), "prompt.system" + rest);
  EXPECT_EQ(RefusalOf({.thinking = "ab\xFF"}), "prompt.thinking" + rest);
  EXPECT_EQ(RefusalOf({.assistant = "ab\xFF"}), "prompt.assistant" + rest);
  EXPECT_EQ(RefusalOf({.conversation_json = "ab\xFF"}), "prompt.conversation_json" + rest);
}

TEST(PromptParts, AConversationStandsAlone) {
  EXPECT_EQ(RefusalOf({.conversation_json = "[]"}), "");
  for (const PromptParts& other : {PromptParts{.user = "x"}, PromptParts{.system = "x"}, PromptParts{.thinking = "x"},
                                   PromptParts{.assistant = "x"}, PromptParts{.force_think_block = true},
                                   PromptParts{.remove_quotes = true}, PromptParts{.keep_whitespace = true}}) {
    PromptParts both = other;
    both.conversation_json = "[]";
    EXPECT_EQ(RefusalOf(both),
              "prompt.conversation_json is the whole conversation; the other fields of prompt must then be unset");
  }
}

}  // namespace
}  // namespace diptych
