#include "common/prompt/prompt_text.h"

#include <string>

#include "common/error/error.h"
#include "common/prompt/utf8.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(CleanWhitespace, GivesTheReferencesCheckValues) {
  EXPECT_EQ(CleanWhitespace("  a\t b\n\n\n\nc \n d  "), "a b\n\nc \n d");
  EXPECT_EQ(CleanWhitespace("a\r\nb"), "a \nb");
  EXPECT_EQ(CleanWhitespace("x\u3000y"), "x y");
}

TEST(CleanWhitespace, LeavesOneAndTwoLineFeedsAndMakesMoreTwo) {
  EXPECT_EQ(CleanWhitespace("a\nb\n\nc\n\n\nd\n\n\n\n\n\ne"), "a\nb\n\nc\n\nd\n\ne");
  EXPECT_EQ(CleanWhitespace("a\n\n \n\nb"), "a\n\n \n\nb");
  EXPECT_EQ(CleanWhitespace("a\n\r\n\r\n\r\nb"), "a\n \n \n \nb");
}

TEST(CleanWhitespace, TurnsEveryKindOfWhitespaceIntoOneSpace) {
  for (const std::string space :
       {"\t",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",   " ",      "\u0085",
        "\u00a0", "\u1680", "\u2000", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", " \t\u00a0\u3000 "}) {
    EXPECT_EQ(CleanWhitespace("a" + space + "b"), "a b") << testing::PrintToString(space);
    EXPECT_EQ(CleanWhitespace(space + "a" + space), "a") << testing::PrintToString(space);
  }
}

TEST(CleanWhitespace, KeepsCharactersThatOnlyLookLikeWhitespace) {
  for (const std::string other : {"\u180e", "\u200b", "\u200d", "\ufeff", "\u2060", "\x1b", "\x7f"}) {
    const std::string text = other + "a" + other + "b" + other;
    EXPECT_EQ(CleanWhitespace(text), text);
  }
}

TEST(CleanWhitespace, MakesTextOfWhitespaceAloneEmpty) {
  EXPECT_EQ(CleanWhitespace(""), "");
  EXPECT_EQ(CleanWhitespace(" \n\t\u3000\n\n\n "), "");
}

TEST(RemoveQuotes, DeletesAsciiDoubleQuotesOnly) {
  EXPECT_EQ(RemoveQuotes("{\"a\": \"it's\"}"), "{a: it's}");
  EXPECT_EQ(RemoveQuotes("\u201cquoted\u201d \u2018x\u2019 'y' \uff02"), "\u201cquoted\u201d \u2018x\u2019 'y' \uff02");
  EXPECT_EQ(RemoveQuotes("\"\"\""), "");
}

TEST(CheckUtf8, AcceptsEveryLengthOfCharacter) {
  EXPECT_NO_THROW(CheckUtf8("prompt", ""));
  EXPECT_NO_THROW(CheckUtf8("prompt", std::string("a\0b", 3)));
  EXPECT_NO_THROW(CheckUtf8("prompt", "a\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"));
}

TEST(CheckUtf8, NamesTheTextAndTheOffsetOfTheFirstBadByte) {
  try {
    CheckUtf8("system prompt", "na\xC3\xAFve \xE7\x8C cat");
    FAIL() << "accepted a character cut short";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(),
                 "system prompt is not valid UTF-8: byte 0xE7 at offset 7 does not begin or complete a character");
  }
}

TEST(FindInvalidUtf8, FindsEveryKindOfDamage) {
  const std::string kinds[] = {"\x80",
                               "\xBF",
                               "\xC0\x80",
                               "\xC1\xBF",
                               "\xC3",
                               "\xC3(",
                               "\xE0\x9F\xBF",
                               "\xE2\x82",
                               "\xED\xA0\x80",
                               "\xED\xBF\xBF",
                               "\xF0\x8F\xBF\xBF",
                               "\xF0\x9F\x90",
                               "\xF4\x90\x80\x80",
                               "\xF5\x80\x80\x80",
                               "\xFE",
                               "\xFF"};
  for (const std::string& damage : kinds) {
    EXPECT_EQ(FindInvalidUtf8("ab" + damage), 2u) << testing::PrintToString(damage);
    EXPECT_EQ(FindInvalidUtf8("ab" + damage + "cd"), 2u) << testing::PrintToString(damage);
  }
}

}  // namespace
}  // namespace diptych
