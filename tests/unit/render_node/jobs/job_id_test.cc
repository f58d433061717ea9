#include "render_node/jobs/job_id.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;

TEST(JobId, StartsWithTheTimeInCrockfordBase32) {
  // The example of the ULID specification: 01ARYZ6S41 is 1469918176385.
  JobIdGenerator ids(RepeatableChance());
  const std::string id = ids.Next(1469918176385);
  EXPECT_EQ(id.substr(0, 10), "01ARYZ6S41");
  EXPECT_EQ(id.size(), kJobIdLength);
  EXPECT_TRUE(IsJobId(id));
}

TEST(JobId, CarriesEightyBitsOfChance) {
  JobIdGenerator zeros([] { return uint64_t{0}; });
  JobIdGenerator ones([] { return ~uint64_t{0}; });
  EXPECT_EQ(zeros.Next(kNow).substr(10), "0000000000000000");
  EXPECT_EQ(ones.Next(kNow).substr(10), "ZZZZZZZZZZZZZZZZ");
}

TEST(JobId, GrowsWithTimeAndWithinAMillisecond) {
  JobIdGenerator ids(RepeatableChance());
  std::string last;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = ids.Next(kNow + i / 100);
    EXPECT_LT(last, id);
    last = id;
  }
}

TEST(JobId, GrowsWhenTheClockJumpsBack) {
  JobIdGenerator ids(RepeatableChance());
  const std::string before = ids.Next(kNow);
  const std::string after = ids.Next(kNow - 3'600'000);
  EXPECT_LT(before, after);
  EXPECT_LT(after, ids.Next(0));
  EXPECT_LT(after, ids.Next(kNow + 1));
}

TEST(JobId, CarriesIntoTheTimeWhenChanceIsUsedUp) {
  JobIdGenerator ids([] { return ~uint64_t{0}; });
  const std::string first = ids.Next(kNow);
  const std::string second = ids.Next(kNow);
  EXPECT_LT(first, second);
  EXPECT_EQ(second.substr(10), "0000000000000000");
}

TEST(JobId, ContinuesAfterTheIdsOfAnEarlierLife) {
  JobIdGenerator earlier(RepeatableChance());
  const std::string last = earlier.Next(kNow);
  JobIdGenerator later(RepeatableChance(2));
  later.StartAfter(last);
  EXPECT_LT(last, later.Next(kNow - 1000));
  EXPECT_EQ(ErrorOf([&] { later.StartAfter("no id"); })->code(), ErrorCode::kDataLoss);
}

TEST(JobId, IsUniqueAcrossThreads) {
  JobIdGenerator ids(RepeatableChance());
  std::vector<std::vector<std::string>> made(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : made) {
      threads.emplace_back([&ids, &mine] {
        for (int i = 0; i < 1000; ++i) mine.push_back(ids.Next(kNow));
      });
    }
  }
  std::set<std::string> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 4000u);
}

TEST(JobId, RefusesWhatCouldBeAPath) {
  EXPECT_FALSE(IsJobId(""));
  EXPECT_FALSE(IsJobId("../../../../../etc/passwd0"));
  EXPECT_FALSE(IsJobId("01ARYZ6S41000000000000000"));    // 25
  EXPECT_FALSE(IsJobId("01ARYZ6S4100000000000000000"));  // 27
  EXPECT_FALSE(IsJobId("01ARYZ6S41000000000000000U"));   // not in the alphabet
  EXPECT_FALSE(IsJobId("81ARYZ6S410000000000000000"));   // more than 128 bits
  EXPECT_TRUE(IsJobId("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
}

}  // namespace
}  // namespace diptych
