#include "common/json/json_place.h"

#include <functional>
#include <string>
#include <vector>

#include "common/error/error.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

std::string Refusal(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

const nlohmann::json kJson = nlohmann::json::parse(
    R"({"list": [{"name": "a", "wrong": 1}, 5], "none": null, "huge": 18446744073709551615, "yes": true})");

TEST(JsonPlace, ReadsWhatIsThere) {
  const JsonPlace root(kJson, "f.json");
  EXPECT_EQ(root.At("list").Size(), 2u);
  EXPECT_EQ(root.At("list").At(0).At("name").String(), "a");
  EXPECT_EQ(root.At("list").At(1).Integer(), 5);
  EXPECT_TRUE(root.At("yes").Bool());
  EXPECT_FALSE(root.Find("none"));
  EXPECT_FALSE(root.Find("missing"));
  std::vector<std::string> keys;
  root.ForEachMember([&](const std::string& key, const JsonPlace&) { keys.push_back(key); });
  EXPECT_EQ(keys.size(), 4u);
}

TEST(JsonPlace, SaysWhereSomethingIsWrong) {
  const JsonPlace root(kJson, "f.json");
  EXPECT_EQ(Refusal([&] { root.At("list").At(0).At("wrong").String(); }),
            "f.json: list[0].wrong is number, expected a string");
  EXPECT_EQ(Refusal([&] { root.At("list").At("x"); }), "f.json: list is array, expected an object");
  EXPECT_EQ(Refusal([&] { root.At("yes").Size(); }), "f.json: yes is boolean, expected an array");
  EXPECT_EQ(Refusal([&] { root.At("missing"); }), "f.json: missing is missing");
  EXPECT_EQ(Refusal([&] { root.Required("none"); }), "f.json: none is missing");
  EXPECT_EQ(Refusal([&] { root.At("huge").Integer(); }), "f.json: huge is too large");
  EXPECT_EQ(
      Refusal([&] { root.ForEachMember([](const std::string&, const JsonPlace& member) { (void)member.Bool(); }); }),
      "f.json: [\"huge\"] is number, expected true or false");
}

}  // namespace
}  // namespace diptych
