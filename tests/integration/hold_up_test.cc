// One job must not hold everybody up: deadlines and cancel reach inside long work, and a long prompt lets others in.
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/support/daemon.h"
#include "tests/integration/support/scratch.h"
#include "tests/integration/support/user.h"

namespace diptych::integration {
namespace {

using std::chrono::seconds;

const Arguments kSmall = {"--width", "64", "--height", "64", "--steps", "1"};

class HoldUp : public testing::Test {
 protected:
  void AwaitIdle(const char* what) {
    Await(what, [&] { return user_.Json({"nodes"})["renderer"]["running"] == 0; });
  }

  const Scratch scratch_;
  Daemon encoder_ = StartEncoder(DemoModelPath(), {"--threads", "1"});
  Daemon renderer_ = StartRenderer(DemoModelPath(), encoder_.address(), scratch_ / "state",
                                   {"--threads", "1", "--max-steps", "50", "--max-prompt-tokens", "38000"});
  const User user_{renderer_.address()};
};

// One attention of this picture takes a minute and more.
TEST_F(HoldUp, ADeadlineEndsALargePictureInTheMiddleOfABlock) {
  const std::string id = user_.Submit({"--width", "4096", "--height", "4096", "--steps", "2", "--deadline", "3"});
  Await("the job is painted or overdue", [&] {
    const std::string state = user_.Job(id)["state"];
    return state == "rendering" || state == "failed";
  });
  Await("its deadline", [&] { return user_.Job(id)["state"] == "failed"; });
  AwaitIdle("a renderer that works on it no more");
  EXPECT_EQ(user_.Job(id)["error_code"], "DEADLINE_EXCEEDED");
  EXPECT_FALSE(user_.Fetch(user_.Submit(kSmall)).empty()) << "others are painted then";
}

TEST_F(HoldUp, ALongPromptHoldsUpItsOwnClientAloneAndCancelEndsIt) {
  std::string long_prompt;
  while (long_prompt.size() < 36'000) long_prompt += "zq";
  const std::string prompt = user_.Submit(kSmall + Arguments{"--client", "ada"}, long_prompt);
  const std::string other = user_.Submit(kSmall + Arguments{"--client", "bob"}, "A red circle");
  const std::string third = user_.Submit(kSmall + Arguments{"--client", "cleo"}, "A blue square");
  EXPECT_FALSE(user_.Fetch(other).empty());
  EXPECT_FALSE(user_.Fetch(third).empty());
  EXPECT_EQ(user_.Job(prompt)["state"], "encoding") << "the long prompt takes longer than two pictures";
  EXPECT_EQ(user_.Run({"cancel", prompt, "--client", "ada"}).status, 0);
  AwaitIdle("an encode that has ended");
}

TEST_F(HoldUp, WhatTheOperatorDoesNotAllowIsRefusedWithBothNumbers) {
  const Outcome steps = user_.Run({"submit", "A cat", "--steps", "51"});
  EXPECT_NE(steps.status, 0);
  EXPECT_NE(steps.err.find("51 steps are asked for; this renderer allows at most 50 (render.max_steps)"),
            std::string::npos)
      << steps.err;
  std::string prompt;
  while (prompt.size() < 50'000) prompt += "zq";
  const std::string id = user_.Submit(kSmall, prompt);
  Await("the job fails", [&] { return user_.Job(id)["state"] == "failed"; });
  const std::string error = user_.Job(id)["error"];
  EXPECT_NE(error.find("tokens; this renderer allows at most 38000 (render.max_prompt_tokens)"), std::string::npos)
      << error;
}

}  // namespace
}  // namespace diptych::integration
