#include "coordinator/cli/job_follower.h"

#include <sstream>

#include "gtest/gtest.h"
#include "tests/unit/coordinator/support/fake_renderer.h"

namespace diptych {
namespace {

using std::chrono::milliseconds;

class JobFollowerTest : public testing::Test {
 protected:
  JobFollowerTest() {
    PictureRequest request;
    request.prompt.emplace();
    request.width = request.height = 16;
    request.steps = 1;
    id_ = client_->Submit(request)->id;
  }
  WatchResult Follow(milliseconds patience) {
    ProgressView view({.err = err_});
    return FollowJob(*client_, id_, {.patience = patience}, view, interrupt_, nullptr);
  }

  FakeRendererService renderer_;
  const std::unique_ptr<RenderClient> client_ = RenderClient::Make(renderer_.address, {}, milliseconds(5000)).value();
  Interrupt interrupt_;
  std::ostringstream err_;
  std::string id_;
};

TEST_F(JobFollowerTest, TriesALostConnectionAgainAfterAJobWasSilentForLongerThanThePatience) {
  renderer_.dropped_watches = 1;
  EXPECT_EQ(Follow(milliseconds(100)).job.state, JobState::kDone);
  EXPECT_EQ(err_.str(), "queued\nconnection to the renderer lost; trying again\nstep 1 of 1 (5 ms)\n");
}

TEST_F(JobFollowerTest, GetsThePictureAlsoWhenThePreviewsCannotBeWritten) {
  ProgressView view({.err = err_});
  FollowOptions options{.want_picture = true};
  options.preview = "/nowhere/at/all/preview.jpg";
  const WatchResult result = FollowJob(*client_, id_, options, view, interrupt_, nullptr);
  EXPECT_EQ(result.job.state, JobState::kDone);
  EXPECT_FALSE(result.png.empty());
  EXPECT_NE(err_.str().find("warning: no previews: "), std::string::npos) << err_.str();
  EXPECT_NE(err_.str().find("/nowhere/at/all"), std::string::npos) << err_.str();
}

TEST_F(JobFollowerTest, SaysThatNoPreviewComesOfAJobThatHasEnded) {
  Follow(milliseconds(100));
  err_.str("");
  ProgressView view({.err = err_});
  FollowOptions options;
  options.preview = "/nowhere/at/all/preview.jpg";
  FollowJob(*client_, id_, options, view, interrupt_, nullptr);
  EXPECT_NE(err_.str().find("warning: no preview came"), std::string::npos) << err_.str();
}

TEST_F(JobFollowerTest, CountsThePatienceFromEachLossAnew) {
  renderer_.dropped_watches = 3;
  EXPECT_EQ(Follow(milliseconds(250)).job.state, JobState::kDone);
}

TEST_F(JobFollowerTest, GivesUpWhenTheRendererStaysAwayAndSaysThatOnlyTheConnectionIsLost) {
  renderer_.away = true;
  EXPECT_THROW(Follow(milliseconds(100)), ConnectionLost);
  EXPECT_EQ(err_.str(), "the renderer at " + renderer_.address + " does not answer; trying for 0.1 s\n");
}

TEST_F(JobFollowerTest, SaysHowLongARendererWasTriedThatNeverAnswered) {
  const auto client = RenderClient::Make("127.0.0.1:1", {}, milliseconds(5000)).value();
  ProgressView view({.err = err_});
  try {
    FollowJob(*client, id_, {.patience = milliseconds(300)}, view, interrupt_, nullptr);
    FAIL();
  } catch (const ConnectionLost& error) {
    EXPECT_NE(std::string(error.what()).find("; it was tried for 0.3 s"), std::string::npos) << error.what();
  }
}

// It says "watching" and goes away, for ever.
TEST_F(JobFollowerTest, GivesUpARendererThatAnswersAndLosesEveryCall) {
  renderer_.drop_after = milliseconds(0);
  renderer_.dropped_watches = 1'000'000;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(Follow(milliseconds(600)), ConnectionLost);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_LE(renderer_.after_sequences().size(), 10u);
}

// A connection that stands, and of which nothing comes.
TEST_F(JobFollowerTest, GivesUpARendererThatTakesTheCallAndNeverSaysAWord) {
  const auto client = RenderClient::Make(renderer_.address, {}, milliseconds(300)).value();
  renderer_.mute = true;
  ProgressView view({.err = err_});
  EXPECT_THROW(FollowJob(*client, id_, {.patience = milliseconds(300)}, view, interrupt_, nullptr), ConnectionLost);
  renderer_.mute = false;
}

TEST(JobNotDone, KeepsTheCodeOfWhatTheJobFailedOf) {
  const std::pair<const char*, ErrorCode> codes[] = {{"INVALID_ARGUMENT", ErrorCode::kInvalidArgument},
                                                     {"DEADLINE_EXCEEDED", ErrorCode::kDeadlineExceeded},
                                                     {"RESOURCE_EXHAUSTED", ErrorCode::kResourceExhausted},
                                                     {"", ErrorCode::kInternal},
                                                     {"BAD_LUCK", ErrorCode::kInternal}};
  for (const auto& [name, code] : codes) {
    JobView job;
    job.state = JobState::kFailed;
    job.error = "why";
    job.error_code = name;
    try {
      ThrowUnlessDone(job);
      FAIL() << name;
    } catch (const JobNotDone& error) {
      EXPECT_EQ(error.code(), code) << name;
      EXPECT_STREQ(error.what(), "why");
    }
  }
}

TEST_F(JobFollowerTest, DoesNotAskAgainAfterAnAnswer) {
  id_ = "nope";
  try {
    Follow(milliseconds(60000));
    FAIL();
  } catch (const ConnectionLost&) {
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace diptych
