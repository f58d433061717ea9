// Jobs that a runner paints together.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"
#include "tests/unit/render_node/jobs/job_runner_fixture.h"

namespace diptych {
namespace {

using enum JobState;
using std::chrono::milliseconds;

class JobRunnerBatchTest : public JobRunnerTest {
 protected:
  JobRunnerBatchTest() {
    limits_.encode_ahead = 10;
    batch_ = 3;
    Open();
    renderer_.on_step = [this](int32_t step, uint8_t fill) {
      if (fill == 'h') held_.get_future().wait();
      if (on_step_) on_step_(step, fill);
    };
  }
  // Jobs of these prompts that are ready all at once, behind one of the prompt "hold" that has one step. Starts.
  std::vector<std::string> Ready(const std::vector<JobSpec>& specs) {
    JobSpec first = SpecOf("hold");
    first.steps = 1;
    hold_ = Submit(first);
    std::vector<std::string> ids;
    for (const JobSpec& spec : specs) ids.push_back(Submit(spec));
    Start();
    // Of those that wait none is queued: all are in the painter's reach.
    const auto all = static_cast<int64_t>(specs.size());
    while (queue_->census().Count(kQueued) > 0 || queue_->waiting() != all) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    return ids;
  }
  // All at once; what became of them.
  std::vector<Job> Paint(const std::vector<std::string>& ids) {
    held_.set_value();
    std::vector<Job> jobs;
    for (const std::string& id : ids) jobs.push_back(Ended(id));
    Ended(hold_);
    runner_->Stop();
    return jobs;
  }

  std::function<void(int32_t step, uint8_t fill)> on_step_;

 private:
  std::string hold_;
  std::promise<void> held_;
};

using Batches = std::vector<std::string>;

TEST_F(JobRunnerBatchTest, PaintsTogetherWhatIsReadyAndFits) {
  JobSpec wide = SpecOf("wide"), guided = SpecOf("guided"), shifted = SpecOf("shifted"), as_default = SpecOf("default");
  wide.width = 128;
  guided.guidance_scale = 2;
  shifted.shift = 4;
  as_default.shift = 3;  // what the checkpoint says for those who say nothing
  as_default.seed = 99;
  JobSpec more_guided = guided;
  more_guided.prompt = PromptOf("more");
  more_guided.guidance_scale = 5;
  const std::vector<std::string> ids =
      Ready({SpecOf("a"), wide, SpecOf("b"), guided, as_default, shifted, SpecOf("c"), more_guided});
  for (const Job& job : Paint(ids)) {
    EXPECT_EQ(job.state, kDone) << job.spec.prompt->user << ": " << job.error;
    EXPECT_EQ(job.timings.step_ms, (std::vector<double>{10, 20, 30}));
  }
  EXPECT_EQ(renderer_.batches, (Batches{"h", "abd", "w", "gm", "s", "c"})) << "three at the most, the oldest first";
  const char* pictures[] = {"a-3", "w-3", "b-3", "g03", "d-3", "s-3", "c-3", "m03"};
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(PictureOf(ids[i]), pictures[i]);
}

TEST_F(JobRunnerBatchTest, PaintsEachAloneUnlessToldOtherwise) {
  batch_ = JobRunnerParts{*queue_, *store_, *pictures_, *checkpoints_, *inputs_, source_, renderer_, clock_, finish_}.batch;
  Paint(Ready({SpecOf("a"), SpecOf("b")}));
  EXPECT_EQ(renderer_.batches, (Batches{"h", "a", "b"}));
}

TEST_F(JobRunnerBatchTest, WhatEndsOneMemberEndsItAlone) {
  std::vector<std::string> ids;
  on_step_ = [&](int32_t step, uint8_t fill) {
    if (fill == 'a' && step == 2) throw std::bad_alloc();
    if (fill != 'b' || step != 2) return;
    EXPECT_TRUE(queue_->Cancel(ids[1]).ok());
  };
  ids = Ready({SpecOf("a"), SpecOf("b"), SpecOf("c")});
  const std::vector<Job> jobs = Paint(ids);
  EXPECT_EQ(renderer_.batches, (Batches{"h", "abc", "a", "a", "a", "a", "a"}))
      << "memory may come back: five more times";
  EXPECT_EQ(jobs[0].state, kFailed);
  EXPECT_EQ(jobs[0].error_code, "RESOURCE_EXHAUSTED");
  EXPECT_EQ(jobs[1].state, kCancelled);
  EXPECT_EQ(jobs[2].state, kDone);
  EXPECT_EQ(PictureOf(ids[2]), "c-3");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_->checkpoints()), {}), 0)
      << "each one's is removed";
}

TEST_F(JobRunnerBatchTest, OneThatIsCancelledBeforeItsTurnIsNotPaintedWithTheOthers) {
  const std::vector<std::string> ids = Ready({SpecOf("a"), SpecOf("b"), SpecOf("c")});
  ASSERT_TRUE(queue_->Cancel(ids[0]).ok());
  Paint(ids);
  EXPECT_EQ(renderer_.batches, (Batches{"h", "bc"}));
}

TEST_F(JobRunnerBatchTest, ARendererThatRefusesABatchFailsItsMembersAndNobodyElse) {
  renderer_.on_together = [](const std::string& batch, const BatchEvents&) {
    if (batch == "abc") throw Error(ErrorCode::kInternal, "not these");
  };
  const std::vector<Job> jobs = Paint(Ready({SpecOf("a"), SpecOf("b"), SpecOf("c"), SpecOf("d")}));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(jobs[i].error, "not these");
  EXPECT_EQ(jobs[3].state, kDone);
}

TEST_F(JobRunnerBatchTest, SaysWhenABatchWasTooMuch) {
  renderer_.on_together = [](const std::string& batch, const BatchEvents& events) {
    if (batch == "ab") events.parted(1, std::make_exception_ptr(std::bad_alloc()));
  };
  Paint(Ready({SpecOf("a"), SpecOf("b")}));
  EXPECT_TRUE(Says(changes_, " a parted to 1: out of memory")) << changes_;
  EXPECT_TRUE(Says(changes_, " b parted to 1: out of memory")) << changes_;
}

// Two that were painted together when the daemon ended, and one that was ready: only these two may be to blame.
TEST_F(JobRunnerBatchTest, SuspectsOfACrashArePaintedAlone) {
  std::vector<std::string> ids;
  for (const char* prompt : {"a", "b", "c"}) ids.push_back(Submit(SpecOf(prompt)));
  for (size_t i = 0; i < 3; ++i) {
    ClaimedJob claimed = *queue_->ClaimToEncode(EncodeLane::kAny);
    queue_->Advance(claimed.job, kReady);
    queue_->HandOver(claimed, std::make_shared<const JobInputs>());
  }
  for (ClaimedJob& claimed : queue_->ClaimToRender(2, [](const Job&, const Job&) { return true; })) {
    queue_->Advance(claimed.job, kRendering);
  }
  Open();
  EXPECT_EQ(recovery_.waiting, 3);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(queue_->Get(ids[i])->crashes.count, i < 2 ? 1 : 0) << i;
  for (const char* prompt : {"d", "e"}) ids.push_back(Submit(SpecOf(prompt)));
  Start();
  for (const std::string& id : ids) EXPECT_EQ(Ended(id).state, kDone);
  runner_->Stop();
  const auto alone = [&](const char* fill) {
    return std::count(renderer_.batches.begin(), renderer_.batches.end(), fill) == 1;
  };
  EXPECT_TRUE(alone("a") && alone("b"));
  EXPECT_TRUE(alone("c")) << "it was begun before";
}

TEST_F(JobRunnerBatchTest, HandsAllMembersBackWhenStoppedAndFinishesThemInTheNextLife) {
  std::promise<void> in_step;
  std::atomic<bool> first_life = true;
  on_step_ = [&](int32_t step, uint8_t fill) {
    if (!first_life || fill != 'a' || step != 2) return;
    in_step.set_value();
    while (!queue_->stopping()) std::this_thread::sleep_for(milliseconds(1));
  };
  const std::vector<std::string> ids = Ready({SpecOf("a"), SpecOf("b")});
  std::thread painting([&] { Paint(ids); });
  in_step.get_future().wait();
  queue_->Stop();
  painting.join();
  for (const std::string& id : ids) {
    EXPECT_EQ(store_->Get(id)->state, kQueued);
    EXPECT_EQ(store_->Get(id)->crashes.count, 0);
  }
  first_life = false;
  changes_.clear();
  Open();
  Start();
  for (const std::string& id : ids) EXPECT_EQ(Ended(id).state, kDone);
  runner_->Stop();
  EXPECT_TRUE(Says(changes_, "from 2")) << "the one that had a checkpoint: " << changes_;
  EXPECT_EQ(PictureOf(ids[0]), "a-3");
  EXPECT_EQ(PictureOf(ids[1]), "b-3");
}

}  // namespace
}  // namespace diptych
