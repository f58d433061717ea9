#include "common/tokenizer/added_tokens.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/cpu_time.h"

namespace diptych {
namespace {

// "text", or "id=text" for a token.
std::vector<std::string> SplitText(const AddedTokenMatcher& matcher, std::string_view text) {
  std::vector<std::string> parts;
  for (const auto& segment : matcher.Split(text)) {
    std::string part;
    if (segment.id >= 0) part.append(std::to_string(segment.id)).append("=");
    parts.push_back(part.append(segment.text));
  }
  return parts;
}

using Parts = std::vector<std::string>;

TEST(AddedTokenMatcher, FindsTokensAnywhereInTheText) {
  const AddedTokenMatcher matcher({{5, "<|im_end|>", true}, {6, "<think>", false}});
  EXPECT_EQ(SplitText(matcher, "<think>a<|im_end|>b<|im_end|><think>"),
            (Parts{"6=<think>", "a", "5=<|im_end|>", "b", "5=<|im_end|>", "6=<think>"}));
  EXPECT_EQ(SplitText(matcher, "can'<think>t"), (Parts{"can'", "6=<think>", "t"}));
  EXPECT_EQ(SplitText(matcher, "plain"), Parts{"plain"});
  EXPECT_EQ(SplitText(matcher, ""), Parts{});
}

TEST(AddedTokenMatcher, TakesTheLongestTokenAtTheLeftmostPlace) {
  const AddedTokenMatcher matcher({{1, "ab", false}, {2, "abcd", false}, {3, "bc", false}, {4, "b", false}});
  EXPECT_EQ(SplitText(matcher, "abcd"), Parts{"2=abcd"});
  EXPECT_EQ(SplitText(matcher, "abcx"), (Parts{"1=ab", "cx"}));
  EXPECT_EQ(SplitText(matcher, "abc"), (Parts{"1=ab", "c"}));
  EXPECT_EQ(SplitText(matcher, "xbcb"), (Parts{"x", "3=bc", "4=b"}));
}

TEST(AddedTokenMatcher, StartsAgainBehindABrokenToken) {
  const AddedTokenMatcher matcher({{5, "<|im_end|>", true}});
  EXPECT_EQ(SplitText(matcher, "<|im_end<|im_end|>|>"), (Parts{"<|im_end", "5=<|im_end|>", "|>"}));
  EXPECT_EQ(SplitText(matcher, "<<|im_end|>>"), (Parts{"<", "5=<|im_end|>", ">"}));
  EXPECT_EQ(SplitText(matcher, "<|im_end|"), Parts{"<|im_end|"});
}

TEST(AddedTokenMatcher, FindsNothingWithoutTokens) {
  EXPECT_EQ(SplitText(AddedTokenMatcher({}), "<think>"), Parts{"<think>"});
}

TEST(AddedTokenMatcher, IsQuickForAMegabyteOfBeginnings) {
  const AddedTokenMatcher matcher({{5, "<|im_end|>", true}, {6, "<|im_start|>", true}});
  std::string text;
  while (text.size() < 1'000'000) text += "<|im_<";
  const CpuTimer timer;
  EXPECT_EQ(matcher.Split(text).size(), 1u);
  EXPECT_LT(timer.Seconds(), 1 * kTimeAllowance);
}

}  // namespace
}  // namespace diptych
