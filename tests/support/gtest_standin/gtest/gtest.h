// A stand-in for the part of GoogleTest that our model tests use, for machines that have libtorch and CMake and nothing
// else. Used only when CMake finds no GoogleTest. One program with main(), one line per failed expectation, exit status
// 1 when any failed.
#pragma once

#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace testing {

class Test {
 public:
  virtual ~Test() = default;
  virtual void SetUp() {}
  virtual void TearDown() {}
  virtual void TestBody() = 0;
};

struct Registered {
  std::string name;
  std::function<Test*()> make;
};
inline std::vector<Registered>& AllTests() {
  static std::vector<Registered> tests;
  return tests;
}
inline int& Failures() {
  static int failures = 0;
  return failures;
}
inline bool Register(const char* suite, const char* name, std::function<Test*()> make) {
  AllTests().push_back({std::string(suite) + "." + name, std::move(make)});
  return true;
}

// Collects what is streamed behind an expectation and reports it when the statement ends.
class Report {
 public:
  Report(bool failed, const char* file, int line, const std::string& what) : failed_(failed) {
    if (failed_) text_ << file << ":" << line << ": " << what << " ";
  }
  Report(Report&& other) noexcept : failed_(other.failed_), text_(std::move(other.text_)) { other.failed_ = false; }
  ~Report() {
    if (!failed_) return;
    ++Failures();
    std::cerr << text_.str() << std::endl;
  }
  template <typename T>
  Report& operator<<(const T& value) {
    if (failed_) text_ << value;
    return *this;
  }
  // In `return Stop() = EXPECT...`, the way an ASSERT leaves its function.
 private:
  bool failed_;
  std::ostringstream text_;
};
struct Stop {
  void operator=(const Report&) const {}
};

inline std::string PrintToString(const std::string& text) { return "\"" + text + "\""; }

inline int RunAll() {
  int failed_tests = 0;
  for (const Registered& test : AllTests()) {
    const int before = Failures();
    Test* body = test.make();
    try {
      body->SetUp();
      body->TestBody();
      body->TearDown();
    } catch (const std::exception& error) {
      Report(true, test.name.c_str(), 0, std::string("exception: ") + error.what());
    } catch (...) {
      Report(true, test.name.c_str(), 0, "unknown exception");
    }
    delete body;
    const bool passed = Failures() == before;
    failed_tests += !passed;
    std::printf("[%s] %s\n", passed ? "  ok  " : "FAILED", test.name.c_str());
  }
  std::printf("%zu passed, %d failed\n", AllTests().size() - static_cast<size_t>(failed_tests), failed_tests);
  return failed_tests == 0 && !AllTests().empty() ? 0 : 1;
}

}  // namespace testing

#define TEST(suite, name)                                                                                 \
  class suite##_##name##_Test : public ::testing::Test {                                                  \
    void TestBody() override;                                                                             \
  };                                                                                                      \
  static const bool suite##_##name##_registered =                                                         \
      ::testing::Register(#suite, #name, []() -> ::testing::Test* { return new suite##_##name##_Test; }); \
  void suite##_##name##_Test::TestBody()

#define TEST_F(fixture, name)                                                                                 \
  class fixture##_##name##_Test : public fixture {                                                            \
    void TestBody() override;                                                                                 \
  };                                                                                                          \
  static const bool fixture##_##name##_registered =                                                           \
      ::testing::Register(#fixture, #name, []() -> ::testing::Test* { return new fixture##_##name##_Test; }); \
  void fixture##_##name##_Test::TestBody()

#define DIPTYCH_EXPECT(condition, what) ::testing::Report(!(condition), __FILE__, __LINE__, what)
#define DIPTYCH_ASSERT(condition, what) \
  if (condition) {                      \
  } else                                \
    return ::testing::Stop() = ::testing::Report(true, __FILE__, __LINE__, what)

#define EXPECT_TRUE(x) DIPTYCH_EXPECT((x), "expected true: " #x)
#define EXPECT_FALSE(x) DIPTYCH_EXPECT(!(x), "expected false: " #x)
#define EXPECT_EQ(a, b) DIPTYCH_EXPECT((a) == (b), "expected " #a " == " #b)
#define EXPECT_NE(a, b) DIPTYCH_EXPECT((a) != (b), "expected " #a " != " #b)
#define EXPECT_LT(a, b) DIPTYCH_EXPECT((a) < (b), "expected " #a " < " #b)
#define EXPECT_LE(a, b) DIPTYCH_EXPECT((a) <= (b), "expected " #a " <= " #b)
#define EXPECT_GT(a, b) DIPTYCH_EXPECT((a) > (b), "expected " #a " > " #b)
#define EXPECT_GE(a, b) DIPTYCH_EXPECT((a) >= (b), "expected " #a " >= " #b)
#define EXPECT_NEAR(a, b, tolerance) \
  DIPTYCH_EXPECT(std::abs(double(a) - double(b)) <= double(tolerance), "expected " #a " near " #b)
#define EXPECT_STREQ(a, b) DIPTYCH_EXPECT(std::string(a) == (b), "expected " #a " == " #b)
#define ASSERT_TRUE(x) DIPTYCH_ASSERT((x), "expected true: " #x)
#define ASSERT_FALSE(x) DIPTYCH_ASSERT(!(x), "expected false: " #x)
#define ASSERT_EQ(a, b) DIPTYCH_ASSERT((a) == (b), "expected " #a " == " #b)
#define ASSERT_NE(a, b) DIPTYCH_ASSERT((a) != (b), "expected " #a " != " #b)
#define ASSERT_GE(a, b) DIPTYCH_ASSERT((a) >= (b), "expected " #a " >= " #b)
#define FAIL() return ::testing::Stop() = ::testing::Report(true, __FILE__, __LINE__, "failed:")
#define ADD_FAILURE() ::testing::Report(true, __FILE__, __LINE__, "failed:")
#define EXPECT_THROW(statement, type)      \
  DIPTYCH_EXPECT(([&] {                    \
                   try {                   \
                     statement;            \
                   } catch (const type&) { \
                     return true;          \
                   }                       \
                   return false;           \
                 }()),                     \
                 "expected " #type " from " #statement)
#define EXPECT_NO_THROW(statement) \
  DIPTYCH_EXPECT(([&] {            \
                   try {           \
                     statement;    \
                   } catch (...) { \
                     return false; \
                   }               \
                   return true;    \
                 }()),             \
                 "expected no exception from " #statement)

int main() { return ::testing::RunAll(); }
