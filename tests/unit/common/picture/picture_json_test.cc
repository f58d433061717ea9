#include "common/picture/picture_json.h"

#include <limits>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/support/every_member.h"

namespace diptych {
namespace {

PictureSpec ThroughJson(const PictureSpec& spec, bool all_optional) {
  nlohmann::ordered_json members;
  PutMembers(spec, members);
  const nlohmann::json json = nlohmann::json::parse(members.dump());
  JsonFields fields(json, "test");
  PictureSpec back;
  TakeMembers(fields, SchemaOf(spec), all_optional, back);
  fields.RefuseUnknown();
  return back;
}

TEST(PictureJson, KeepsEveryMember) {
  EXPECT_EQ(ThroughJson(EveryMemberSet(), false), EveryMemberSet());
  EXPECT_EQ(ThroughJson({}, false), PictureSpec{});
}

TEST(PictureJson, KeepsEveryMemberAlone) {
  ForEachMember([](const auto& member) {
    PictureSpec spec;
    spec.*member.field = AnotherValue(member);
    EXPECT_EQ(ThroughJson(spec, true), spec) << member.name;
  });
}

// What was written before a member came stays as it was, and can be read.
TEST(PictureJson, LeavesOutWhatIsNewerAndHasItsDefault) {
  nlohmann::ordered_json json;
  PutMembers({}, json);
  ForEachMember(
      [&](const auto& member) { EXPECT_EQ(json.contains(member.name), member.schema == 1 && !member.kOptional); });
  EXPECT_EQ(SchemaOf({}), 1);
}

TEST(PictureJson, RefusesANumberOutOfItsRange) {
  const nlohmann::json json = {{"steps", 0}};
  JsonFields fields(json, "test");
  PictureSpec spec;
  try {
    TakeMembers(fields, 1, /*all_optional=*/true, spec);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "test: \"steps\" must be a whole number from 1 to 1000");
  }
}

}  // namespace
}  // namespace diptych
