#include "common/json/bounded_json.h"

#include <functional>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/child_cost.h"

namespace diptych {
namespace {

std::string Repeated(const std::string& part, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text += part;
  return text;
}

std::string RefusalOf(const std::string& text, const JsonBounds& bounds = {}) {
  try {
    ParseBoundedJson(text, bounds);
    return "";
  } catch (const JsonError& error) {
    return error.what();
  }
}

TEST(BoundedJson, ReadsWhatIsWithinTheBounds) {
  EXPECT_EQ(ParseBoundedJson(R"({"a": [1, "x", null]})").dump(), R"({"a":[1,"x",null]})");
  EXPECT_EQ(ParseOrderedJson(R"({"b": 1, "a": 2})").dump(), R"({"b":1,"a":2})");
  EXPECT_EQ(RefusalOf(Repeated("[", 64) + Repeated("]", 64)), "");
  // Of what stands in strings nothing counts.
  EXPECT_EQ(RefusalOf("[\"" + Repeated("[{,\\\"", 100) + "\"]", {.depth = 1, .values = 2, .members = 1}), "");
}

TEST(BoundedJson, SaysWhichBoundATextIsBeyond) {
  EXPECT_EQ(RefusalOf(Repeated("[", 65)), "nested deeper than 64 levels");
  EXPECT_EQ(RefusalOf(Repeated("{\"a\":", 65)), "nested deeper than 64 levels");
  EXPECT_EQ(RefusalOf(Repeated("[", 200'000) + Repeated("]", 200'000)), "nested deeper than 64 levels");
  EXPECT_EQ(RefusalOf("[" + Repeated("0,", 200'000) + "0]"), "holds more than 200000 values");
  EXPECT_EQ(RefusalOf(Repeated("{},", 200'001)), "holds more than 200000 values");
  EXPECT_EQ(RefusalOf("[1,2,3]", {.members = 2}), "holds more than 2 values in one object or list");
  EXPECT_EQ(RefusalOf("[[1,2],[1,2]]", {.members = 2}), "");
  EXPECT_EQ(RefusalOf("\"abc\"", {.bytes = 4}), "has 5 bytes, expected at most 4");
}

TEST(BoundedJson, SaysInOurWordsWhatIsNoJson) {
  EXPECT_EQ(RefusalOf("{"), "not valid JSON: it ends too early");
  EXPECT_EQ(RefusalOf("{\"a\" 1}"), "not valid JSON: wrong at byte 6");
  EXPECT_EQ(RefusalOf("[1e999]"), "not valid JSON: a number is out of range");
  EXPECT_EQ(RefusalOf("]]]]"), "not valid JSON: wrong at byte 1");
  EXPECT_EQ(RefusalOf("\"\\"), "not valid JSON: it ends too early");
  EXPECT_EQ(RefusalOf(""), "not valid JSON: it ends too early");
  EXPECT_TRUE(JsonOrDiscarded("[1e999]").is_discarded());
  EXPECT_TRUE(JsonOrDiscarded(Repeated("[", 100'000)).is_discarded());
  EXPECT_THROW(ParseStrictJson("[1e999]", "f", {}), Error);
}

TEST(BoundedJson, ShowsAValueInTwoHundredBytes) {
  EXPECT_EQ(JsonExcerpt("a\n\x1b[1m"), R"("a\n\u001b[1m")");
  EXPECT_EQ(JsonExcerpt(std::string(1'000'000, 'x')).size(), 200u);
  EXPECT_EQ(JsonExcerpt(nlohmann::json(std::vector<int>(1000, 7))), "a list");
  EXPECT_LE(JsonExcerpt(nlohmann::json({{"k", std::string(5000, 'x')}})).size(), 200u);
}

// The dearest texts that we know, each as long as it may be.
TEST(BoundedJson, CostsNoMoreThanTheBoundsSay) {
  std::string members = "{";
  for (int i = 0; members.size() < (size_t{3} << 20); ++i) members += "\"" + std::to_string(i) + "\":{},";
  std::string objects = "[";
  for (int object = 0; object < 39; ++object) {
    objects += "{\"\":0";
    for (int i = 0; i < 4990; ++i) objects += ",\"" + std::to_string(100'000 + i) + "\":0";
    objects += "},";
  }
  const std::string all[] = {objects + "0]",
                             members + "\"\":0}",
                             "[" + Repeated("{},", 199'000) + "0]",
                             Repeated("[", 2'000'000) + Repeated("]", 2'000'000),
                             "[" + Repeated("{},", 99'000) + "0]",
                             Repeated("[[[[[],[],[],[],[]]]],", 180'000),
                             "\"" + std::string((size_t{4} << 20) - 2, 'x') + "\"",
                             "{" + Repeated("\"a\":1,", 199'000) + "\"a\":1}"};
  for (const std::string& text : all) {
    for (const std::function<void()>& parse :
         {std::function<void()>([&] { ParseBoundedJson(text); }),
          std::function<void()>([&] { ParseOrderedJson(text); }),
          std::function<void()>([&] { ParseStrictJson("{\"x\":" + text + "}", "f", {}); })}) {
      const ChildCost cost = CostInChild(parse);
      EXPECT_TRUE(cost.ended) << text.substr(0, 20);
      EXPECT_LT(cost.cpu_s, 3 * kTimeAllowance) << text.substr(0, 20);
      EXPECT_LT(cost.memory_mib, 100 * kMemoryAllowance) << text.substr(0, 20);
    }
  }
}

}  // namespace
}  // namespace diptych
