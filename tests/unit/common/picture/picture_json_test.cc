#include "common/picture/picture_json.h"

#include <limits>

#include "common/error/error.h"
#include "gtest/gtest.h"
#include "tests/support/every_member.h"

namespace diptych {
namespace {

PictureSpec ThroughJson(const PictureSpec& spec) {
  nlohmann::ordered_json members;
  PutMembers(spec, members);
  const nlohmann::json json = nlohmann::json::parse(members.dump());
  JsonFields fields(json, "test");
  PictureSpec back;
  TakeMembers(fields, SchemaOf(spec), back);
  fields.RefuseUnknown();
  return back;
}

TEST(PictureJson, KeepsEveryMember) {
  EXPECT_EQ(ThroughJson(EveryMemberSet()), EveryMemberSet());
  EXPECT_EQ(ThroughJson({}), PictureSpec{});
}

TEST(PictureJson, KeepsEveryMemberAlone) {
  ForEachMember([](const auto& member) {
    PictureSpec spec;
    spec.*member.field = AnotherValue(member);
    EXPECT_EQ(ThroughJson(spec), spec) << member.name;
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
  const nlohmann::json json = {{"width", 64}, {"height", 64}, {"seed", 1u}, {"steps", 0}};
  JsonFields fields(json, "test");
  PictureSpec spec;
  try {
    TakeMembers(fields, 1, spec);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "test: \"steps\" must be a whole number from 1 to 1000");
  }
}

TEST(PictureJson, MissesWhatWasAlwaysWrittenUnlessItsWriterLeftItOut) {
  nlohmann::ordered_json whole;
  PutMembers({}, whole);
  ForEachMember([&](const auto& member) {
    if (member.schema > 1 || member.kOptional) return;
    nlohmann::json json = nlohmann::json::parse(whole.dump());
    json.erase(std::string(member.name));
    PictureSpec spec;
    JsonFields fields(json, "test");
    EXPECT_THROW(TakeMembers(fields, 1, spec), Error) << member.name;
    TakeMembers(fields, 1, spec, {member.name});
    EXPECT_EQ(spec, PictureSpec{}) << member.name;
  });
}

}  // namespace
}  // namespace diptych
