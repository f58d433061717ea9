#include "common/http/places.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace diptych {
namespace {

using Phase = Place::Phase;

// In all 4, 2 of a host. The place that gives way by its number; -1: there is room; -2: not let in.
int GivesWay(std::vector<Place> places, const std::string& host) {
  std::vector<Place*> pointers;
  for (Place& place : places) pointers.push_back(&place);
  const Admission admission = AdmitAmong(pointers, host, 4, 2);
  if (!admission.admitted) return -2;
  if (admission.gives_way == nullptr) return -1;
  return static_cast<int>(admission.gives_way - places.data());
}

Place At(const std::string& host, Phase phase, int second) {
  return {.host = host, .phase = phase, .since = std::chrono::steady_clock::time_point(std::chrono::seconds(second))};
}

TEST(Places, LetInWhileThereIsRoom) {
  EXPECT_EQ(GivesWay({}, "a"), -1);
  EXPECT_EQ(GivesWay({At("a", Phase::kWorking, 1)}, "a"), -1);
  EXPECT_EQ(GivesWay({At("a", Phase::kWaiting, 1), At("a", Phase::kWaiting, 1)}, "b"), -1);
}

TEST(Places, TakeAHostsOwnThatWaitsLongest) {
  EXPECT_EQ(GivesWay({At("a", Phase::kWaiting, 2), At("a", Phase::kWaiting, 1), At("b", Phase::kWaiting, 0)}, "a"), 1);
  EXPECT_EQ(GivesWay({At("a", Phase::kWaiting, 1), At("a", Phase::kLeaving, 2)}, "a"), 1);
  EXPECT_EQ(GivesWay({At("a", Phase::kTransfer, 1), At("a", Phase::kWorking, 0)}, "a"), -2);
}

TEST(Places, TakeTheCrowdsWhenAllAreTaken) {
  const std::vector<Place> two_and_two = {At("a", Phase::kTransfer, 1), At("a", Phase::kWorking, 0),
                                          At("b", Phase::kTransfer, 2), At("b", Phase::kTransfer, 1)};
  EXPECT_EQ(GivesWay(two_and_two, "c"), 0) << "a transfer, for a host that has two fewer";
  const std::vector<Place> each_one = {At("a", Phase::kTransfer, 1), At("b", Phase::kTransfer, 2),
                                       At("c", Phase::kTransfer, 3), At("d", Phase::kTransfer, 4)};
  EXPECT_EQ(GivesWay(each_one, "e"), -2);
  const std::vector<Place> working = {At("a", Phase::kWorking, 1), At("a", Phase::kWorking, 2),
                                      At("b", Phase::kWorking, 3), At("b", Phase::kWorking, 4)};
  EXPECT_EQ(GivesWay(working, "c"), -2);
  const std::vector<Place> one_waits = {At("a", Phase::kWorking, 1), At("a", Phase::kWorking, 2),
                                        At("b", Phase::kWaiting, 3), At("c", Phase::kWaiting, 4)};
  EXPECT_EQ(GivesWay(one_waits, "d"), 2);
  const std::vector<Place> more_than_b = {At("a", Phase::kWorking, 1), At("b", Phase::kWaiting, 2),
                                          At("c", Phase::kWaiting, 3), At("d", Phase::kWorking, 4)};
  EXPECT_EQ(GivesWay(more_than_b, "a"), 1) << "as many";
}

}  // namespace
}  // namespace diptych
