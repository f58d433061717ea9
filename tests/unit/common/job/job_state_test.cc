#include "common/job/job_state.h"

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(JobState, IsReadBackFromItsName) {
  for (const JobState state : kJobStates) EXPECT_EQ(ParseJobState(JobStateName(state)), state);
  for (const char* const name : {"Queued", "unknown", ""}) {
    try {
      ParseJobState(name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    }
  }
}

TEST(JobState, OfANewerRendererIsUnknownAndHasNotEnded) {
  EXPECT_EQ(JobStateName(JobState::kUnknown), "unknown");
  EXPECT_FALSE(IsTerminal(JobState::kUnknown));
}

}  // namespace
}  // namespace diptych
