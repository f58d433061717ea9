#include "common/json/json_fields.h"

#include <functional>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

using Json = nlohmann::json;

std::string Refusal(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(JsonFields, ReadsByNameAndType) {
  const Json json =
      Json::parse(R"({"a": "x", "b": true, "c": 1.5, "d": -3, "e": 18446744073709551615, "f": {"g": "y"}})");
  JsonFields fields(json, "file");
  EXPECT_EQ(fields.Text("a"), "x");
  EXPECT_TRUE(fields.Flag("b"));
  EXPECT_EQ(fields.Number("c"), 1.5);
  EXPECT_EQ(fields.Whole("d", -5, 5), -3);
  EXPECT_EQ(fields.Unsigned("e", 0, UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(fields.Object("f").Text("g"), "y");
  EXPECT_EQ(fields.OptionalText("h"), "");
  EXPECT_EQ(Refusal([&] { fields.RefuseUnknown(); }), "");
}

TEST(JsonFields, SaysWhatIsWrongAndWhatWouldBeRight) {
  const Json json = Json::parse(R"({"a": 1, "b": 18446744073709551615, "c": {"d": 2}, "e": "FF"})");
  JsonFields fields(json, "file");
  EXPECT_EQ(Refusal([&] { fields.Text("a"); }), "file: \"a\" must be a text");
  EXPECT_EQ(Refusal([&] { fields.Flag("a"); }), "file: \"a\" must be true or false");
  EXPECT_EQ(Refusal([&] { fields.Number("a", 2, 3); }), "file: \"a\" must be a number from 2 to 3");
  EXPECT_EQ(Refusal([&] { fields.Whole("b", 0, 9); }), "file: \"b\" must be a whole number from 0 to 9");
  EXPECT_EQ(Refusal([&] { fields.Unsigned("b", 0, 9); }), "file: \"b\" must be a whole number from 0 to 9");
  EXPECT_EQ(Refusal([&] { fields.OneOf("e", {"x", "y"}); }), "file: \"e\" must be one of x, y");
  EXPECT_EQ(Refusal([&] { fields.Hash("e"); }), "file: \"e\" must be 64 lower-case hexadecimal digits");
  EXPECT_EQ(Refusal([&] { fields.Object("a"); }), "file: \"a\" must be an object");
  EXPECT_EQ(Refusal([&] { fields.Object("c").Text("d"); }), "file: \"c.d\" must be a text");
  EXPECT_EQ(Refusal([&] { fields.Text("z"); }), "file: field \"z\" is missing");
}

TEST(JsonFields, NamesAFieldThatNobodyAskedFor) {
  const Json json = Json::parse(R"({"a": 1, "stray": 2})");
  JsonFields fields(json, "");
  (void)fields.Whole("a", 0, 9);
  EXPECT_EQ(Refusal([&] { fields.RefuseUnknown(); }), "unknown field \"stray\"");
}

TEST(JsonFields, TakesNullForAMissingFieldWhereItIsToldTo) {
  const Json json = Json::parse(R"({"a": null, "b": {"c": null, "d": 5}})");
  EXPECT_EQ(Refusal([&] { JsonFields(json, "file").OptionalText("a"); }), "file: \"a\" must be a text");
  JsonFields fields(json, "file", "", JsonFields::Null::kIsMissing);
  EXPECT_FALSE(fields.Has("a"));
  EXPECT_EQ(fields.OptionalText("a"), "");
  EXPECT_FALSE(fields.OptionalFlag("a"));
  JsonFields inside = fields.Object("b");
  EXPECT_EQ(inside.OptionalWhole("c", 0, 9, 7), 7);
  EXPECT_EQ(inside.OptionalWhole("d", 0, 9, 7), 5);
  EXPECT_EQ(Refusal([&] { inside.OptionalWhole("d", 0, 4, 0); }), "file: \"b.d\" must be a whole number from 0 to 4");
  EXPECT_EQ(Refusal([&] { inside.RefuseField("d", "is too much"); }), "file: \"b.d\" is too much");
}

TEST(JsonFields, TakesNothingButAnObject) {
  const Json json = Json::array();
  EXPECT_EQ(Refusal([&] { JsonFields(json, "file"); }), "file: it must be an object");
}

}  // namespace
}  // namespace diptych
