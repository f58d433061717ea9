#include "common/tokenizer/pre_tokenizer.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/cpu_time.h"

namespace diptych {
namespace {

using Pieces = std::vector<std::string>;

Pieces PiecesOf(std::string_view text) {
  static const PreTokenizer pre_tokenizer;
  Pieces pieces;
  for (const std::string_view piece : pre_tokenizer.Split(text)) pieces.emplace_back(piece);
  return pieces;
}

// Checked with transformers 5.23.
TEST(PreTokenizer, GivesTheReferencesPieces) {
  EXPECT_EQ(PiecesOf("  two  spaces\n\n\tand\ttabs \n x"),
            (Pieces{" ", " two", " ", " spaces", "\n\n", "\tand", "\ttabs", " \n", " x"}));
  EXPECT_EQ(PiecesOf("\u00a1Hola! \u00bfQu\u00e9?"), (Pieces{"\u00a1Hola", "!", " \u00bf", "Qu\u00e9", "?"}));
  EXPECT_EQ(PiecesOf("(cat:1.2), 8K"), (Pieces{"(cat", ":", "1", ".", "2", "),", " ", "8", "K"}));
  EXPECT_EQ(PiecesOf("1st 2nd"), (Pieces{"1", "st", " ", "2", "nd"}));
  EXPECT_EQ(PiecesOf(" 'RE "), (Pieces{" '", "RE", " "}));
  EXPECT_EQ(PiecesOf("\u732b\uff0c\u7761\u89c9\u3002OK"), (Pieces{"\u732b", "\uff0c\u7761\u89c9", "\u3002OK"}));
  EXPECT_EQ(PiecesOf("\u0915\u094d\u0937"), (Pieces{"\u0915", "\u094d\u0937"}));
  EXPECT_EQ(PiecesOf("LET'S"), (Pieces{"LET", "'S"}));
  EXPECT_EQ(PiecesOf(" \u2019s"), (Pieces{" \u2019", "s"}));
  EXPECT_EQ(PiecesOf(""), Pieces{});
}

TEST(PreTokenizer, CutsContractionsOfEveryCaseAndTheLongS) {
  for (const std::string tail :
       {"'s", "'S", "'t", "'T", "'re", "'Re", "'RE", "'ve", "'m", "'ll", "'lL", "'d", "'\u017f"}) {
    EXPECT_EQ(PiecesOf("a" + tail), (Pieces{"a", tail}));
  }
  EXPECT_EQ(PiecesOf("a'\u017fa"), (Pieces{"a", "'\u017f", "a"}));
  EXPECT_EQ(PiecesOf("'llama"), (Pieces{"'ll", "ama"}));
  EXPECT_EQ(PiecesOf("'k"), (Pieces{"'k"}));
}

TEST(PreTokenizer, GivesEveryNumberCharacterAPiece) {
  EXPECT_EQ(PiecesOf("123"), (Pieces{"1", "2", "3"}));
  EXPECT_EQ(PiecesOf("\u00bd\u216b\u0663\u00b2"), (Pieces{"\u00bd", "\u216b", "\u0663", "\u00b2"}));
}

TEST(PreTokenizer, SwallowsLineEndsBehindSymbols) {
  EXPECT_EQ(PiecesOf("a.\r\n\nb"), (Pieces{"a", ".\r\n\n", "b"}));
  EXPECT_EQ(PiecesOf("a \r\n x"), (Pieces{"a", " \r\n", " x"}));
  EXPECT_EQ(PiecesOf("a  \n  b"), (Pieces{"a", "  \n", " ", " b"}));
}

TEST(PreTokenizer, LeavesTheLastSpaceToWhatFollows) {
  EXPECT_EQ(PiecesOf("a    "), (Pieces{"a", "    "}));
  EXPECT_EQ(PiecesOf("a   b"), (Pieces{"a", "  ", " b"}));
  EXPECT_EQ(PiecesOf("   1"), (Pieces{"  ", " ", "1"}));
}

TEST(PreTokenizer, TakesUnicodeWhiteSpaceAndNothingElseAsSpace) {
  for (const std::string space : {"\t", "\v", "\f", " ", "\u0085", "\u00a0", "\u1680", "\u2000", "\u200a", "\u2028",
                                  "\u2029", "\u202f", "\u205f", "\u3000"}) {
    EXPECT_EQ(PiecesOf("!" + space + space + "1"), (Pieces{"!", space, space, "1"})) << testing::PrintToString(space);
  }
  for (const std::string other : {"\u180e", "\u200b", "\ufeff", "\x1c", "\x1d", "\x1e", "\x1f", "\u2060"}) {
    EXPECT_EQ(PiecesOf("!" + other + other + "1"), (Pieces{"!" + other + other, "1"})) << testing::PrintToString(other);
  }
}

TEST(PreTokenizer, LosesNothingAndStaysQuickForAMegabyteOfAnything) {
  constexpr size_t kBytes = 1'000'000;
  for (const std::string unit : {"a", " ", "\n", "!", "1", "\t", " \n", "\r\n", "'", "'s", "\u732b", "\u3000", "\u0301",
                                 "\U0001f431", " a", "!\n", "\u0915\u094d"}) {
    std::string text;
    while (text.size() < kBytes) text += unit;
    for (const std::string end : {"", "x", "1", "!"}) {
      text += end;
      const CpuTimer timer;
      const PreTokenizer pre_tokenizer;
      const std::vector<std::string_view> pieces = pre_tokenizer.Split(text);
      EXPECT_LT(timer.Seconds(), 1 * kTimeAllowance) << testing::PrintToString(unit);
      const char* expected = text.data();
      for (const std::string_view piece : pieces) {
        ASSERT_EQ(piece.data(), expected) << testing::PrintToString(unit);
        expected += piece.size();
      }
      EXPECT_EQ(expected, text.data() + text.size()) << testing::PrintToString(unit);
    }
  }
}

}  // namespace
}  // namespace diptych
