#include "common/daemon/descriptors.h"

#include <sys/resource.h>

#include <sstream>

#include "gtest/gtest.h"

namespace diptych {
namespace {

class Descriptors : public testing::Test {
 protected:
  Descriptors() { getrlimit(RLIMIT_NOFILE, &former_); }
  ~Descriptors() override { setrlimit(RLIMIT_NOFILE, &former_); }

  void SetSoftLimit(rlim_t soft) const {
    const rlimit limit = {soft, former_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ConnectionLimits Within(const ConnectionLimits& wanted) {
    return WithinDescriptorLimit(wanted, *MakeStreamLogger(lines_, LogLevel::kInfo));
  }

  rlimit former_{};
  std::ostringstream lines_;
};

TEST_F(Descriptors, TheSoftLimitBecomesTheHardOne) {
  SetSoftLimit(96);
  RaiseDescriptorLimit();
  rlimit now{};
  getrlimit(RLIMIT_NOFILE, &now);
  EXPECT_EQ(now.rlim_cur, std::min<rlim_t>(former_.rlim_max, 1 << 20));
  EXPECT_EQ(now.rlim_max, former_.rlim_max);
}

TEST_F(Descriptors, ConnectionsLeaveRoomForFiles) {
  SetSoftLimit(120);
  const ConnectionLimits less = Within({.in_all = 1024, .per_host = 256});
  EXPECT_LT(less.in_all, 30) << "a connection takes three";
  EXPECT_GE(less.in_all, 4);
  EXPECT_EQ(less.per_host, less.in_all);
  EXPECT_NE(lines_.str().find("connections at a time, not 1024: this process may have 120 file descriptors"),
            std::string::npos)
      << lines_.str();
}

TEST_F(Descriptors, TooFewAreSaidWithTheNumberThatIsNeeded) {
  EXPECT_EQ(DescriptorProblem(), "");
  SetSoftLimit(16);
  const std::string problem = DescriptorProblem();
  EXPECT_NE(problem.find("this process may have 16 file descriptors and needs "), std::string::npos) << problem;
}

TEST_F(Descriptors, WhatFitsStaysAsItIs) {
  SetSoftLimit(500);
  const ConnectionLimits same = Within({.in_all = 100, .per_host = 7});
  EXPECT_EQ(same.in_all, 100);
  EXPECT_EQ(same.per_host, 7);
  EXPECT_EQ(lines_.str(), "");
}

}  // namespace
}  // namespace diptych
