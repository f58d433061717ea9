#include "coordinator/order/error_json.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "coordinator/order/wrong_wish.h"
#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(ErrorJson, HasTheNameOfTheErrorsCode) {
  EXPECT_EQ(ErrorJson(Error(ErrorCode::kDeadlineExceeded, "too late")).dump(),
            R"({"code":"DEADLINE_EXCEEDED","message":"too late"})");
  EXPECT_EQ(ErrorJson(WrongWish("no such size")).dump(), R"({"code":"INVALID_ARGUMENT","message":"no such size"})");
  EXPECT_EQ(ErrorJson(ErrorCode::kCancelled, "interrupted").dump(), R"({"code":"CANCELLED","message":"interrupted"})");
}

TEST(ErrorJson, CallsWhatIsNoErrorOfOursInternal) {
  EXPECT_EQ(ErrorJson(std::runtime_error("a bug")).dump(), R"({"code":"INTERNAL","message":"a bug"})");
}

}  // namespace
}  // namespace diptych
