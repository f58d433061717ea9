#include "common/foreign_text/foreign_text.h"

#include <random>

#include "common/foreign_text/escape.h"
#include "common/prompt/utf8.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(Escape, LeavesTextOfAllLanguagesAlone) {
  const std::string text = "a \"cat\" \\ \xC3\xA4 \xE4\xB8\xAD \xF0\x9F\x90\x88 \xD7\xA9";
  EXPECT_EQ(EscapeText(text), text);
  EXPECT_EQ(EscapeLines(text), text);
  EXPECT_EQ(EscapeJson(text), text);
}

TEST(Escape, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(EscapeText("a\nb\rc\td\x1b[2Je\x7f"), "a\\nb\\rc\\td\\x1b[2Je\\x7f");
  EXPECT_EQ(EscapeText(std::string("\0", 1)), "\\x00");
  EXPECT_EQ(EscapeText("\xC2\x9B"), "\\xc2\\x9b") << "C1";
  EXPECT_EQ(EscapeText("\xE2\x80\xAE\xE2\x81\xA6\xD8\x9C\xE2\x80\xA8"), "\\u202e\\u2066\\u061c\\u2028");
  EXPECT_EQ(EscapeText("\x9B\xFF\xC3"), "\\x9b\\xff\\xc3") << "no UTF-8";
  EXPECT_EQ(EscapeText("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "half of a surrogate pair";
  EXPECT_EQ(EscapeLines("a\nb\x1b"), "a\nb\\x1b");
}

TEST(Escape, OfJsonStaysJsonOfTheSameValue) {
  EXPECT_EQ(EscapeJson("{\"a\":\"\x7f\xC2\x9B\xE2\x80\xAE\xFF\"}"), "{\"a\":\"\\u007f\\u009b\\u202e\\ufffd\"}");
}

TEST(Escape, LeavesNothingToObeyWhateverTheText) {
  std::mt19937 random(1);
  const std::string pieces[] = {"a", "\xE2", "\x80", "\xAE", "\x1b", "\xC2", "\x9B", "\xE4\xB8\xAD", "\n", "\xF0\x9F"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += pieces[random() % std::size(pieces)];
    for (const std::string& shown : {EscapeText(text), EscapeJson(text), ForeignText(text, 45)}) {
      ASSERT_EQ(FindInvalidUtf8(shown), std::string::npos);
      for (size_t at = 0; at < shown.size(); at += ReadUtf8Character(shown, at).bytes) {
        ASSERT_FALSE(IsControl(ReadUtf8Character(shown, at).code_point)) << shown;
      }
    }
  }
}

TEST(ForeignText, IsWholeWhereItIsShort) {
  EXPECT_EQ(ForeignText(""), "");
  EXPECT_EQ(ForeignText("a cat"), "a cat");
  EXPECT_EQ(ForeignText(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(QuotedForeignText("a\nb"), "\"a\\nb\"");
}

TEST(ForeignText, SaysHowMuchOfALongerOneIsNotShown) {
  EXPECT_EQ(ForeignText(std::string(1'000'000, 'x')), std::string(160, 'x') + "... (999840 more bytes)");
  EXPECT_EQ(ForeignText(std::string(1'000'000, '\x7f')).substr(0, 8), "\\x7f\\x7f");
}

TEST(ForeignText, IsNeverLongerAndCutAtACharacter) {
  for (const std::string& piece : {std::string("x"), std::string("\x7f"), std::string("\xE4\xB8\xAD"),
                                   std::string("\xFF"), std::string("\xF0\x9F\x90\x88"), std::string("\xE2\x80\xAE")}) {
    for (size_t count : {1, 30, 49, 50, 51, 66, 67, 199, 200, 201, 5000}) {
      std::string text;
      for (size_t i = 0; i < count; ++i) text += piece;
      for (const std::string& shown : {ForeignText(text), CutMessage(text, 200)}) EXPECT_LE(shown.size(), 200u);
      EXPECT_EQ(FindInvalidUtf8(ForeignText(text)), std::string::npos);
    }
  }
}

TEST(ForeignText, LeavesAMessageThatFitsAsItIs) {
  EXPECT_EQ(CutMessage("two\nlines"), "two\nlines");
  EXPECT_EQ(CutMessage(std::string(3000, 'm')), std::string(1960, 'm') + "... (1040 more bytes)");
}

}  // namespace
}  // namespace diptych
