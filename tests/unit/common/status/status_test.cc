#include "common/status/status.h"

#include <new>
#include <stdexcept>

#include "gtest/gtest.h"

namespace diptych {
namespace {

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
