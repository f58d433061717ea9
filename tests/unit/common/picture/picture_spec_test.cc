#include "common/picture/picture_spec.h"

#include <cmath>

#include "common/error/error.h"
#include "common/picture/job_spec.h"
#include "gtest/gtest.h"
#include "tests/support/every_member.h"

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

PictureSpec WithSource(PictureSpec spec = {}) {
  spec.source.hex = std::string(64, 'a');
  return spec;
}

std::string SettleRefusal(PictureSpec spec) {
  try {
    Settle(spec);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(PictureSpec, StrengthIsTheReferencesUnlessSomebodySaysIt) {
  PictureSpec spec = WithSource();
  Settle(spec);
  EXPECT_EQ(spec.strength, 0.6);
  spec = WithSource();
  spec.mask.hex = std::string(64, 'b');
  Settle(spec);
  EXPECT_EQ(spec.strength, 1);
  spec = WithSource({.strength = 0.25});
  Settle(spec);
  EXPECT_EQ(spec.strength, 0.25);
}

TEST(PictureSpec, WhatHasNoEffectIsLeftOut) {
  PictureSpec spec{.strength = 0.5, .source_fit = SourceFit::kCrop, .soft_mask = true};
  Settle(spec);
  EXPECT_EQ(spec, PictureSpec{});
  spec = WithSource({.strength = 0.5, .soft_mask = true});
  Settle(spec);
  EXPECT_FALSE(spec.soft_mask) << "without a mask";
}

TEST(PictureSpec, CountsEvaluationsAsTheReference) {
  EXPECT_EQ(PictureSpec{.steps = 8}.Evaluations(), 8);
  EXPECT_EQ(WithSource({.steps = 8, .strength = 0.6}).Evaluations(), 5);
  EXPECT_EQ(WithSource({.steps = 8, .strength = 0.0}).Evaluations(), 0);
}

TEST(PictureSpec, RefusesWhatDoesNotGoTogether) {
  PictureSpec mask;
  mask.mask.hex = std::string(64, 'b');
  EXPECT_EQ(SettleRefusal(mask), "mask: there is no source that it is of");
  EXPECT_EQ(SettleRefusal({.mask_from_alpha = true}), "mask_from_alpha: there is no source");
  EXPECT_EQ(SettleRefusal({.extend_top = 8}), "extend: there is no source");
  EXPECT_EQ(SettleRefusal(WithSource({.inpaint_crop = 8})),
            "inpaint_crop: there is no mask around which a part could be cut out");
  mask.source = WithSource().source;
  mask.mask_from_alpha = true;
  EXPECT_EQ(SettleRefusal(mask), "mask and mask_from_alpha: there can be one mask only");
  EXPECT_EQ(SettleRefusal(WithSource({.width = 64, .height = 64, .extend_left = 32, .extend_right = 32})),
            "extend: it leaves nothing of a picture of 64x64 for the source");
}

TEST(PictureSpec, NamesAnInputThatIsNoHash) {
  PictureSpec spec;
  spec.source.hex = "ABC";
  EXPECT_EQ(Refusal(spec), "source is not the SHA-256 of an input, 64 lower-case hexadecimal digits");
}

TEST(PictureSpec, NamesItsInputsByTheirRoles) {
  const auto inputs = InputsOf(EveryMemberSet());
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].first, "source");
  EXPECT_EQ(inputs[1].first, "mask");
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
