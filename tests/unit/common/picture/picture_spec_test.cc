#include "common/picture/picture_spec.h"

#include <cmath>

#include "common/error/error.h"
#include "common/picture/job_spec.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string Refusal(const PictureSpec& spec) {
  try {
    CheckRanges(spec);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(PictureSpec, DefaultsAreWithinTheirRanges) { EXPECT_EQ(Refusal({}), ""); }

TEST(PictureSpec, NamesTheMemberItsValueAndTheLimits) {
  EXPECT_EQ(Refusal({.steps = 0}), "steps 0 is not from 1 to 1000");
  EXPECT_EQ(Refusal({.shift = 0}), "shift 0 is not a number from 0.001 to 1000");
  EXPECT_EQ(Refusal({.cfg_truncation = 1.5}), "cfg_truncation 1.5 is not a number from 0 to 1");
  EXPECT_EQ(Refusal({.layer = 0}),
            "layer 0 is not from -1000 to -1; hidden states are counted from the end, -1 is the last");
}

TEST(PictureSpec, RefusesWhatIsNoNumber) {
  EXPECT_EQ(Refusal({.guidance_scale = NAN}), "guidance_scale nan is not a number from 0 to 1000");
  EXPECT_EQ(Refusal({.shift = INFINITY}), "shift inf is not a number from 0.001 to 1000");
}

TEST(PictureSpec, HasEveryRangeCheckedAtBothEnds) {
  ForEachMember([](const auto& member) {
    using Member = std::decay_t<decltype(member)>;
    using T = typename Member::Value;
    if constexpr (std::is_same_v<T, int32_t> || std::is_same_v<T, double>) {
      PictureSpec spec;
      for (const T legal : {member.least, member.most}) {
        spec.*member.field = legal;
        EXPECT_EQ(Refusal(spec), "") << member.name;
      }
      for (const double illegal : {static_cast<double>(member.least) - 1, static_cast<double>(member.most) + 1}) {
        spec.*member.field = static_cast<T>(illegal);
        EXPECT_EQ(Refusal(spec).substr(0, member.name.size() + 1), std::string(member.name) + " ");
      }
    }
  });
}

TEST(JobSpec, LabelsDoNotMakeAnotherPicture) {
  JobSpec a, b;
  b.client = "ada";
  b.priority = 3;
  EXPECT_NE(a, b);
  EXPECT_EQ(static_cast<const PictureSpec&>(a), b);
}

}  // namespace
}  // namespace diptych
