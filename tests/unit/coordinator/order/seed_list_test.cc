#include "coordinator/order/seed_list.h"

#include <string>

#include "coordinator/order/wrong_wish.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using Seeds = std::vector<uint64_t>;

std::string RefusalOf(const std::string& text) {
  try {
    ParseSeeds(text);
  } catch (const WrongWish& error) {
    return error.what();
  }
  return "none";
}

TEST(SeedList, HoldsSeedsAndRangesInTheirOrder) {
  EXPECT_EQ(ParseSeeds("7"), Seeds{7});
  EXPECT_EQ(ParseSeeds("7,11,20-23"), (Seeds{7, 11, 20, 21, 22, 23}));
  EXPECT_EQ(ParseSeeds(" 9 - 9 , 3"), (Seeds{9, 3}));
  EXPECT_EQ(ParseSeeds("18446744073709551614-18446744073709551615"), (Seeds{kMaxSeed - 1, kMaxSeed}));
  EXPECT_EQ(ParseSeeds("0-9999").size(), kMaxPictures);
}

TEST(SeedList, RefusesWhatIsNone) {
  for (const std::string part : {"", "x", "-1", "7-", "1-2-3", "0x7", "1.5", "+7"}) {
    const std::string refusal = "--seeds: \"" + part + "\" is neither a seed nor a range of seeds, as in 7,11,20-23";
    EXPECT_EQ(RefusalOf(part), refusal);
    EXPECT_EQ(RefusalOf("5," + part), refusal);
  }
  EXPECT_EQ(RefusalOf("23-20"), "--seeds: \"23-20\" runs backwards");
  EXPECT_EQ(RefusalOf("7,1-9"), "--seeds names seed 7 twice");
}

TEST(SeedList, RefusesSeedsBeyondTheLargest) {
  for (const std::string part : {"18446744073709551616", "99999999999999999999", "1-18446744073709551616"}) {
    EXPECT_EQ(RefusalOf(part), "--seeds: \"" + part + "\" is beyond the largest seed, 2^64 - 1");
  }
}

TEST(SeedList, RefusesMoreThanOneCommandTakes) {
  for (const char* text : {"0-10000", "0-18446744073709551615", "0-9999,10000"}) {
    EXPECT_EQ(RefusalOf(text), "--seeds names more than 10000 seeds, the limit for one command") << text;
  }
}

}  // namespace
}  // namespace diptych
