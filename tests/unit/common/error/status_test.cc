#include "common/error/status.h"

#include <map>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

std::vector<ErrorCode> AllErrorCodes() {
  std::vector<ErrorCode> codes;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code)
    codes.push_back(static_cast<ErrorCode>(code));
  return codes;
}

constexpr int kStatuses = 16;  // beside OK: 1 to 16

TEST(CodeTable, EachErrorCodeComesBackFromItsStatusAndFromItsName) {
  std::set<absl::StatusCode> statuses;
  for (const ErrorCode code : AllErrorCodes()) {
    const absl::StatusCode status = ToStatusCode(code);
    EXPECT_EQ(ToErrorCode(status), code) << CodeName(code);
    EXPECT_EQ(CodeName(code), absl::StatusCodeToString(status));
    EXPECT_EQ(FindErrorCode(CodeName(code)), code);
    EXPECT_TRUE(statuses.insert(status).second) << CodeName(code) << " is that of another one, too";
    EXPECT_EQ(ToStatus(Error(code, "why")), absl::Status(status, "why"));
    try {
      ThrowUnlessOk(absl::Status(status, "why"));
      FAIL() << CodeName(code);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << CodeName(code);
      EXPECT_STREQ(error.what(), "why");
    }
  }
}

TEST(CodeTable, EachStatusIsTheErrorCodeOfItsNameOrTheNearestOne) {
  const std::map<absl::StatusCode, ErrorCode> without_one = {
      {absl::StatusCode::kOutOfRange, ErrorCode::kInvalidArgument},
      {absl::StatusCode::kAlreadyExists, ErrorCode::kFailedPrecondition},
      {absl::StatusCode::kAborted, ErrorCode::kUnavailable},
      {absl::StatusCode::kUnknown, ErrorCode::kInternal}};
  EXPECT_EQ(AllErrorCodes().size() + without_one.size(), static_cast<size_t>(kStatuses));
  for (int number = 1; number <= kStatuses; ++number) {
    const auto status = static_cast<absl::StatusCode>(number);
    const std::string name = absl::StatusCodeToString(status);
    const ErrorCode code = ToErrorCode(status);
    EXPECT_EQ(FindErrorCode(name), code) << name;
    if (const auto nearest = without_one.find(status); nearest != without_one.end()) {
      EXPECT_EQ(code, nearest->second) << name;
    } else {
      EXPECT_EQ(ToStatusCode(code), status) << name;
    }
  }
}

TEST(CodeTable, NoOtherNameIsACode) {
  for (const char* const name : {"", "OK", "not_found", "NOT_FOUND ", "NO_SUCH"}) {
    EXPECT_EQ(FindErrorCode(name), std::nullopt) << name;
  }
  EXPECT_EQ(ToErrorCode(static_cast<absl::StatusCode>(99)), ErrorCode::kInternal);
}

TEST(ValueOrThrow, GivesTheValueOrThrowsTheStatus) {
  EXPECT_EQ(ValueOrThrow(absl::StatusOr<int>(7)), 7);
  ThrowUnlessOk(absl::OkStatus());
  try {
    ValueOrThrow(absl::StatusOr<int>(absl::DeadlineExceededError("too late")));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDeadlineExceeded);
    EXPECT_STREQ(error.what(), "too late");
  }
}

TEST(Guard, ReturnsTheValueOfWorkThatSucceeds) {
  const absl::StatusOr<int> result = Guard([] { return 7; });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, 7);
}

TEST(Guard, KeepsCodeAndMessageOfOurErrors) {
  const absl::Status status = Guard([] { throw Error(ErrorCode::kFailedPrecondition, "width 48, expected 64"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "width 48, expected 64");
}

TEST(Guard, TurnsMemoryShortageIntoResourceExhausted) {
  EXPECT_EQ(Guard([] { throw std::bad_alloc(); }).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Guard([] { throw std::runtime_error("CUDA out of memory. Tried to allocate\nframe #0"); }).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Guard, ReportsForeignExceptionsAsInternalWithTheirFirstLine) {
  const absl::Status status = Guard([] { throw std::runtime_error("expected a tensor\nframe #0: ..."); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "expected a tensor");
  EXPECT_EQ(Guard([] { throw 3; }).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace diptych
