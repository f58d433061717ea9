// What a queue foretells of its jobs, and the pause.
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_queue_fixture.h"

namespace diptych {
namespace {

using enum JobState;

class JobQueueOutlookTest : public JobQueueTest {
 protected:
  // A job of one prompt that took 100 ms to encode, and whose picture takes `ms` to paint.
  void PaintOne(double ms) {
    Submit();
    ClaimedJob claimed = Claim();
    claimed.job.timings.encode_ms = 100;
    queue_->Advance(claimed.job, kReady);
    queue_->HandOver(claimed, std::make_shared<const JobInputs>());
    claimed = *queue_->ClaimToRender();
    queue_->Advance(claimed.job, kRendering);
    clock_.steady_ms = clock_.steady_ms + ms;
    queue_->Advance(claimed.job, kDecoding);
    queue_->Advance(claimed.job, kDone);
    queue_->Release(claimed.job.id);
  }
  JobQueue::Outlook OutlookOf(const std::string& id) { return queue_->OutlookOf(*queue_->Get(id)); }
};

TEST_F(JobQueueOutlookTest, KnowsNoWaitBeforePromptAndPictureWereMeasured) {
  EXPECT_FALSE(queue_->PlaceOf(Submit())->wait_ms) << "no prompt was encoded";
  EXPECT_EQ(queue_->Submit(SpecOf("a cat"), {}, /*stored=*/true)->jobs_ahead, 1);
}

TEST_F(JobQueueOutlookTest, CountsTheEncodersWorkWhereItTakesLongerThanThePainters) {
  PaintOne(30);  // the encoder takes 100 for the same prompt
  const std::string first = Submit(), second = Submit();
  EXPECT_NEAR(*queue_->PlaceOf(first)->wait_ms, 100, 1e-6) << "nobody is painted, but its prompt is not encoded yet";
  EXPECT_NEAR(*queue_->PlaceOf(second)->wait_ms, 200, 1e-6);
  EXPECT_NEAR(*OutlookOf(second).until_done_ms, 230, 1e-6);
  const std::string stored = queue_->Submit(SpecOf("a cat", "bob"), {}, /*stored=*/true)->id;
  EXPECT_NEAR(*queue_->PlaceOf(stored)->wait_ms, 100, 1e-6) << "it is bob's, so that one job alone is before it";
}

TEST_F(JobQueueOutlookTest, CountsALongPromptByItsLength) {
  PaintOne(30);
  const std::string long_prompt = queue_->Submit(SpecOf(std::string(5 + 3 * (64 + 5), 'x')), {})->id;
  EXPECT_NEAR(*queue_->PlaceOf(long_prompt)->wait_ms, 400, 1e-6);
}

TEST_F(JobQueueOutlookTest, AReadyJobHasAPlaceAndAPaintedOneATime) {
  PaintOne(1000);
  const std::string painted = Submit("ada"), ready = Submit("bob"), later = Submit("bob");
  ClaimUntil(kReady);
  ClaimUntil(kReady);
  ClaimUntil(kReady);
  EXPECT_EQ(queue_->PlaceOf(painted)->jobs_ahead, 0);
  EXPECT_EQ(queue_->PlaceOf(painted)->wait_ms, 0);
  ClaimedJob claimed = *queue_->ClaimToRender();
  queue_->Advance(claimed.job, kRendering);
  clock_.steady_ms = clock_.steady_ms + 400;
  const JobQueue::Place place = *queue_->PlaceOf(later);
  EXPECT_EQ(place.jobs_ahead, 2);
  EXPECT_EQ(place.others_ahead, 1);
  EXPECT_NEAR(*place.wait_ms, 600 + 1000, 1e-6);
  EXPECT_NEAR(*OutlookOf(ready).until_done_ms, 600 + 1000, 1e-6);
  EXPECT_FALSE(queue_->PlaceOf(painted));
  EXPECT_NEAR(*OutlookOf(painted).until_done_ms, 600, 1e-6);
}

TEST_F(JobQueueOutlookTest, ForetellsTheFirstPictureFromItsSteps) {
  const std::string id = Submit(), next = queue_->Submit(SpecOf("a cat"), {}, /*stored=*/true)->id;
  ClaimUntil(kReady);
  ClaimedJob claimed = *queue_->ClaimToRender();
  queue_->Advance(claimed.job, kRendering);
  EXPECT_FALSE(OutlookOf(id).until_done_ms);
  claimed.job.step = 1;
  claimed.job.timings.step_ms = {100};
  queue_->Report(claimed.job);
  EXPECT_NEAR(*OutlookOf(id).until_done_ms, 2 * 100 + 200, 1e-6) << "the decoder counts as two steps";
  EXPECT_NEAR(*queue_->PlaceOf(next)->wait_ms, 500, 1e-6);
}

TEST_F(JobQueueOutlookTest, FollowsTheDecoderByItsTilesAndByTheOneBefore) {
  const auto decode = [&] {
    ClaimedJob claimed = *queue_->ClaimToRender();
    queue_->Advance(claimed.job, kRendering);
    queue_->Advance(claimed.job, kDecoding);
    return claimed;
  };
  const std::string first = Submit();
  ClaimUntil(kReady);
  ClaimedJob claimed = decode();
  clock_.steady_ms = clock_.steady_ms + 1000;
  EXPECT_FALSE(OutlookOf(first).until_done_ms);
  claimed.job.tiles_done = 1;
  claimed.job.tiles = 4;
  queue_->Report(claimed.job);
  EXPECT_NEAR(*OutlookOf(first).until_done_ms, 3000, 1e-6);
  claimed.job.timings.decode_ms = 4000;
  queue_->Report(claimed.job);
  queue_->Advance(claimed.job, kDone);
  queue_->Release(first);

  const std::string second = Submit();
  ClaimUntil(kReady);
  decode();
  clock_.steady_ms = clock_.steady_ms + 1000;
  EXPECT_NEAR(*OutlookOf(second).until_done_ms, 3000, 1e-6);
}

TEST_F(JobQueueOutlookTest, SaysWhatHoldsUpAWaitingJob) {
  PaintOne(1000);
  Submit();
  ClaimedJob claimed = Claim();
  const std::string waiting = Submit();
  const std::string stored = queue_->Submit(SpecOf("a cat"), {}, /*stored=*/true)->id;
  EXPECT_EQ(queue_->PlaceOf(waiting)->held_up, "");
  claimed.job.detail = "no encoder answers";
  queue_->Report(claimed.job);
  EXPECT_EQ(queue_->PlaceOf(claimed.job.id)->held_up, "no encoder answers");
  EXPECT_EQ(queue_->PlaceOf(waiting)->held_up, "no encoder answers");
  EXPECT_FALSE(queue_->PlaceOf(waiting)->wait_ms);
  EXPECT_EQ(queue_->PlaceOf(stored)->held_up, "") << "it needs none";
}

TEST_F(JobQueueOutlookTest, APausedQueueFinishesWhatIsInWorkAndBeginsNothing) {
  Submit();
  ClaimUntil(kReady);
  const std::string waiting = Submit();
  const QueuePause pause = *queue_->Pause("ada");
  EXPECT_EQ(pause, (QueuePause{"ada", clock_.unix_ms}));
  clock_.Pass(1000);
  EXPECT_EQ(*queue_->Pause("bob"), pause) << "the first one holds";
  EXPECT_EQ(queue_->census().pause, pause);
  EXPECT_EQ(queue_->PlaceOf(waiting)->pause, pause);
  EXPECT_FALSE(queue_->PlaceOf(waiting)->wait_ms);
  EXPECT_TRUE(queue_->Submit(SpecOf("a dog"), {}).ok()) << "jobs are accepted";

  std::atomic<int> begun = 0;
  std::thread encoder([&] { begun += queue_->ClaimToEncode(EncodeLane::kAny).has_value(); });
  std::thread painter([&] { begun += queue_->ClaimToRender().has_value(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(begun, 0);
  EXPECT_EQ(*queue_->Resume(), pause);
  encoder.join();
  painter.join();
  EXPECT_EQ(begun, 2);
  EXPECT_EQ(*queue_->Resume(), std::nullopt);
}

TEST_F(JobQueueOutlookTest, APauseOutlivesTheDaemon) {
  const QueuePause pause = *queue_->Pause("ada");
  Open();
  EXPECT_EQ(queue_->pause(), pause);
  ASSERT_TRUE(queue_->Resume().ok());
  Open();
  EXPECT_EQ(queue_->pause(), std::nullopt);
}

TEST_F(JobQueueOutlookTest, TellsWheneverPlacesMayHaveChanged) {
  int moves = 0;
  queue_->OnMove([&] { ++moves; });
  const auto moved = [&](const std::function<void()>& change) {
    const int before = moves;
    change();
    return moves > before;
  };
  std::string first, second;
  ClaimedJob claimed;
  EXPECT_TRUE(moved([&] { first = Submit("ada"); }));
  EXPECT_TRUE(moved([&] { second = Submit("bob"); }));
  EXPECT_TRUE(moved([&] { claimed = Claim(); }));
  EXPECT_TRUE(moved([&] {
    claimed.job.detail = "no encoder answers";
    queue_->Report(claimed.job);
  }));
  EXPECT_TRUE(moved([&] { queue_->Advance(claimed.job, JobState::kReady); }));
  EXPECT_TRUE(moved([&] { queue_->HandOver(claimed, std::make_shared<const JobInputs>()); }));
  EXPECT_TRUE(moved([&] { claimed = *queue_->ClaimToRender(); }));
  EXPECT_TRUE(moved([&] { EXPECT_TRUE(queue_->Pause("ada").ok()); }));
  EXPECT_TRUE(moved([&] { EXPECT_TRUE(queue_->Resume().ok()); }));
  EXPECT_TRUE(moved([&] { EXPECT_TRUE(queue_->Cancel(first).ok()); }));
  EXPECT_TRUE(moved([&] { queue_->Release(first); }));
  EXPECT_FALSE(moved([&] {
    EXPECT_TRUE(queue_->List({}).ok());
    EXPECT_EQ(queue_->PlaceOf(second)->jobs_ahead, 0);
  }));
}

}  // namespace
}  // namespace diptych
