#include "common/daemon/model_watch.h"

#include <atomic>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace diptych {
namespace {

TEST(ModelWatch, RefusesServesAgainAndEndsTheDaemonWhenTheModelIsGone) {
  std::ostringstream lines;
  const auto log = MakeStreamLogger(lines, LogLevel::kInfo);
  DaemonStop stop(*log);
  stop.Loaded();
  std::vector<bool> serving;
  std::atomic<int> looks = 0;
  const auto look = [&]() -> ModelNews {
    switch (looks++) {
      case 0:
        return {};
      case 1:
        return {.lines = {"w: is written to"}, .refused = "w: is written to"};
      case 2:
        return {.lines = {"w: all is well"}};
      case 3:
        throw std::runtime_error("nobody knows");
      default:
        return {.refused = "w: other weights", .over = true};
    }
  };
  {
    const ModelWatch watch({.look = look,
                            .set_serving = [&](bool now) { serving.push_back(now); },
                            .stop = stop,
                            .log = *log,
                            .interval = std::chrono::milliseconds(1)});
    EXPECT_EQ(stop.Wait(), "w: other weights; starts anew with what is there now");
  }
  EXPECT_EQ(looks, 5) << "over is over";
  EXPECT_EQ(serving, (std::vector<bool>{false, true, false}));
  EXPECT_NE(lines.str().find("w: is written to"), std::string::npos) << lines.str();
  EXPECT_NE(lines.str().find("w: all is well"), std::string::npos) << lines.str();
  EXPECT_NE(lines.str().find("nobody knows"), std::string::npos) << lines.str();
}

}  // namespace
}  // namespace diptych
