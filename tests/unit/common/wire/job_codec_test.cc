#include "common/wire/job_codec.h"

#include <set>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/every_member.h"

namespace diptych {
namespace {

TEST(JobCodec, CarriesEveryMember) {
  JobSpec spec;
  static_cast<PictureSpec&>(spec) = EveryMemberSet();
  spec.client = "ada";
  spec.priority = -3;
  spec.idempotency_key = "key";
  spec.timeout_ms = 5000;
  const absl::StatusOr<JobSpec> back = FromProto(ToProto(spec));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, spec);
}

TEST(JobCodec, CarriesEveryMemberAlone) {
  ForEachMember([](const auto& member) {
    JobSpec spec;
    spec.*member.field = AnotherValue(member);
    const v1::JobSpec message = ToProto(spec);
    EXPECT_EQ(FromProto(message).value_or(JobSpec{}), spec) << member.name;
    EXPECT_NE(message.SerializeAsString(), ToProto(JobSpec{}).SerializeAsString()) << member.name;
  });
}

// A field of the message that nobody reads would be a setting without effect.
TEST(JobCodec, EveryFieldOfTheMessageIsAMemberOrALabel) {
  std::set<std::string> known = {"client", "priority", "idempotency_key", "timeout_ms"};
  ForEachMember([&](const auto& member) { known.emplace(member.name); });
  const google::protobuf::Descriptor* message = v1::JobSpec::descriptor();
  for (int i = 0; i < message->field_count(); ++i) EXPECT_TRUE(known.contains(message->field(i)->name()));
  EXPECT_EQ(static_cast<size_t>(message->field_count()), known.size());
}

TEST(JobCodec, WhatIsNotSaidIsTheDefault) {
  v1::JobSpec message;
  message.set_width(64);
  message.set_height(32);
  message.set_steps(2);
  const absl::StatusOr<JobSpec> spec = FromProto(message);
  ASSERT_TRUE(spec.ok());
  EXPECT_FALSE(spec->shift);
  EXPECT_EQ(spec->layer, kDefaultLayer);
  EXPECT_EQ(spec->long_prompt_mode, LongPromptMode::kInterpolate);
  EXPECT_EQ(spec->cfg_truncation, 0) << "0 is never, too";
}

TEST(JobCodec, NamesAChoiceThatItDoesNotKnow) {
  v1::JobSpec message;
  message.set_long_prompt_mode(static_cast<v1::LongPromptMode>(9));
  EXPECT_EQ(FromProto(message).status().message(),
            "long_prompt_mode: number 9 is not one of 1 (truncate), 2 (interpolate), 3 (pool), 4 (attention_pool)");
}

}  // namespace
}  // namespace diptych
