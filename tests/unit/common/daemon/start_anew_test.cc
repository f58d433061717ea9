#include "common/daemon/start_anew.h"

#include "gtest/gtest.h"

namespace diptych {
namespace {

using Arguments = std::vector<std::string>;

TEST(ArgumentsToStartAnew, KeepTheAddressThatOthersKnow) {
  const absl::Status open = StartAnewStatus("w: other weights", {"127.0.0.1", 0}, {"127.0.0.1", 43210});
  EXPECT_TRUE(absl::IsUnavailable(open));
  EXPECT_EQ(open.message(), "w: other weights");
  EXPECT_EQ(ArgumentsToStartAnew(open, {"d", "--listen", "127.0.0.1:0", "--x"}),
            (Arguments{"d", "--listen", "127.0.0.1:43210", "--x"}));
  EXPECT_EQ(ArgumentsToStartAnew(open, {"d", "--listen=127.0.0.1:0"}), (Arguments{"d", "--listen=127.0.0.1:43210"}));
  EXPECT_EQ(ArgumentsToStartAnew(open, {"d"}), (Arguments{"d", "--listen", "127.0.0.1:43210"}));
  const absl::Status fixed = StartAnewStatus("w: other weights", {"localhost", 7872}, {"127.0.0.1", 7872});
  EXPECT_EQ(ArgumentsToStartAnew(fixed, {"d", "--listen", "localhost:7872"}),
            (Arguments{"d", "--listen", "localhost:7872"}));
}

TEST(StartAnewIfWished, ReturnsWithoutAWish) {
  StartAnewIfWished(absl::OkStatus());
  StartAnewIfWished(absl::UnavailableError("the address is in use"));
}

// The second life sees that it is one.
TEST(StartAnewDeathTest, BeginsAgainInTheSameProcess) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run = [] {
    if (getenv("DIPTYCH_SECOND_LIFE") != nullptr) _exit(7);
    setenv("DIPTYCH_SECOND_LIFE", "1", 1);
    unsetenv("NOTIFY_SOCKET");
    StartAnewIfWished(StartAnewStatus("w", {"localhost", 1}, {"localhost", 1}));
    _exit(8);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace diptych
