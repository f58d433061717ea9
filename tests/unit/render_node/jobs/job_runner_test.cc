#include "render_node/jobs/job_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/recovery.h"
#include "render_node/jobs/retention.h"
#include "render_node/jobs/sqlite_job_store.h"
#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

using enum JobState;
using std::chrono::milliseconds;

constexpr milliseconds kSoon{20'000};  // far beyond what anything here takes

std::vector<uint8_t> PixelsAsPng(const FinishRequest& request) { return request.picture.rgb; }

class JobRunnerTest : public testing::Test {
 protected:
  JobRunnerTest() { Open(); }

  void Open() {
    runner_.reset();
    queue_.reset();
    folder_.reset();
    sqlite_.reset();
    folder_ = std::make_unique<StateFolder>(temporary_.path() / "state");
    sqlite_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance(++lives_));
    store_ = std::make_unique<FillableStore>(*sqlite_);
    pictures_ = std::make_unique<PictureStore>(folder_->pictures());
    scheduler_ = std::make_unique<FairScheduler>();
    checkpoints_ = std::make_unique<CheckpointStore>(folder_->checkpoints());
    recovery_ = RecoverInterrupted(
        *store_, [this](const std::string& id) { return checkpoints_->StepOf(id); }, clock_.UnixMs());
    queue_ = std::make_unique<JobQueue>(*store_, *scheduler_, clock_, limits_);
  }
  void Start() {
    const auto note = [this](const std::string& what) {
      const std::lock_guard lock(changes_mutex_);
      changes_ += " " + what;
    };
    JobRunnerEvents events;
    events.state_changed = [note](const Job& job) { note(std::string(JobStateName(job.state))); };
    events.planned = [note](const Job&, const std::string& plan) { note("(" + plan + ")"); };
    events.resumed = [note](const Job&, int32_t step) { note("from " + std::to_string(step)); };
    events.checkpoint_failed = [note](const Job&, const std::string& why) { note("[" + why + "]"); };
    events.store_failed = [this](const std::string& job_id, const absl::Status&) {
      {
        const std::lock_guard lock(changes_mutex_);
        store_failed_for_.insert(job_id);
      }
      ++store_failures_;
    };
    events.parted = [note](const Job& job, size_t together, const absl::Status& why) {
      note(job.spec.prompt->user + " parted to " + std::to_string(together) + ": " + std::string(why.message()));
    };
    runner_ = std::make_unique<JobRunner>(JobRunnerParts{.queue = *queue_,
                                                         .store = *store_,
                                                         .pictures = *pictures_,
                                                         .checkpoints = *checkpoints_,
                                                         .source = source_,
                                                         .renderer = renderer_,
                                                         .clock = clock_,
                                                         .finish = finish_,
                                                         .events = events,
                                                         .preview = preview_,
                                                         .batch = batch_});
  }
  std::string Submit(const JobSpec& spec, const UploadedConditioning& uploaded = {}) {
    return queue_->Submit(spec, uploaded)->id;
  }
  // Waits for the end of a job.
  Job Ended(const std::string& id) {
    const auto watch = *queue_->Watch(id);
    Job job;
    while (watch->Next(kSoon, &job) == JobWatch::Outcome::kJob) {
    }
    return job;
  }
  std::string PictureOf(const std::string& id) {
    const std::vector<uint8_t> bytes = pictures_->Load(queue_->Get(id)->picture);
    return {bytes.begin(), bytes.end()};
  }

  TemporaryFolder temporary_;
  uint64_t lives_ = 0;
  FakeClock clock_;
  FakeSource source_;
  FakeRenderer renderer_;
  PictureFinisher finish_ = PixelsAsPng;
  PreviewEncoder preview_;
  QueueLimits limits_;
  int64_t batch_ = 1;
  std::mutex changes_mutex_;
  std::string changes_;  // read when the workers have stopped
  std::atomic<int> store_failures_ = 0;
  std::set<std::string> store_failed_for_;  // guarded by changes_mutex_
  std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<SqliteJobStore> sqlite_;
  std::unique_ptr<FillableStore> store_;
  std::unique_ptr<PictureStore> pictures_;
  std::unique_ptr<CheckpointStore> checkpoints_;
  Recovery recovery_;
  std::unique_ptr<FairScheduler> scheduler_;
  std::unique_ptr<JobQueue> queue_;
  std::unique_ptr<JobRunner> runner_;
};

TEST_F(JobRunnerTest, TakesAPromptAllTheWayToAPicture) {
  finish_ = [this](const FinishRequest& request) {
    clock_.steady_ms = clock_.steady_ms + 4;
    return request.picture.rgb;
  };
  const std::string id = Submit(SpecOf("cat"));
  clock_.unix_ms += 100;
  renderer_.on_decoded = [this] { clock_.unix_ms += 900; };
  Start();
  const Job job = Ended(id);
  runner_->Stop();
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(PictureOf(id), "c-3");
  EXPECT_EQ(changes_, " encoding ready rendering (sigmas 1 0) decoding done");
  EXPECT_EQ(job.step, 3);
  EXPECT_EQ(job.attempt, 1);
  EXPECT_EQ(job.timings, (JobTimings{100, 20, 3, 5, {10, 20, 30}, 7, 4, 1000}));
  EXPECT_EQ(job.finished_unix_ms, clock_.unix_ms);
  Open();
  EXPECT_EQ(queue_->Get(id)->timings, job.timings);
}

TEST_F(JobRunnerTest, AsksTheSourceForWhatTheSpecSays) {
  JobSpec spec = SpecOf("cat");
  spec.layer = -1;
  spec.long_prompt_mode = LongPromptMode::kPool;
  const std::string plain = Submit(SpecOf("plain"));
  const std::string special = Submit(spec);
  Start();
  Ended(plain);
  Ended(special);
  ASSERT_EQ(source_.requests.size(), 2u) << "no negative prompt without guidance";
  EXPECT_EQ(source_.requests[0].layer, kDefaultLayer);
  EXPECT_EQ(source_.requests[0].long_prompt_mode, LongPromptMode::kInterpolate);
  EXPECT_EQ(source_.requests[0].row_limit, 1504);
  EXPECT_EQ(source_.requests[0].job_id, plain);
  EXPECT_EQ(source_.requests[1].prompt, PromptOf("cat"));
  EXPECT_EQ(source_.requests[1].layer, -1);
  EXPECT_EQ(source_.requests[1].long_prompt_mode, LongPromptMode::kPool);
}

TEST_F(JobRunnerTest, FetchesTheNegativePromptWithGuidance) {
  JobSpec spec = SpecOf("cat");
  spec.guidance_scale = 4;
  const std::string unset = Submit(spec);
  spec.negative = PromptOf("dog");
  const std::string set = Submit(spec);
  Start();
  EXPECT_EQ(Ended(unset).timings.encode_ms, 40);
  Ended(set);
  EXPECT_EQ(PictureOf(unset), "c03") << "the empty prompt";
  EXPECT_EQ(PictureOf(set), "cd3");
}

TEST_F(JobRunnerTest, SaysHowManyTokensBecameHowManyRows) {
  JobSpec spec = SpecOf("cat");
  Conditioning cut = ConditioningOf('u');
  cut.header.token_count = 9;
  Conditioning unknown = ConditioningOf('v');
  unknown.header.token_count = 0;
  const std::string encoded = Submit(spec);
  spec.guidance_scale = 4;
  const std::string uploaded = Submit(spec, {unknown, cut});
  Start();
  EXPECT_EQ(Ended(encoded).fits, (PromptFits{PromptFit{3, 3}, std::nullopt}));
  EXPECT_EQ(Ended(uploaded).fits, (PromptFits{std::nullopt, PromptFit{9, 3}}));
  Open();
  EXPECT_EQ(queue_->Get(uploaded)->fits, (PromptFits{std::nullopt, PromptFit{9, 3}})) << "after a restart too";
}

TEST_F(JobRunnerTest, UsesUploadedConditioningInsteadOfAnEncoder) {
  JobSpec spec = SpecOf("label");
  const std::string without = Submit(spec, {ConditioningOf('u'), std::nullopt});
  spec.guidance_scale = 4;
  const std::string both = Submit(spec, {ConditioningOf('u'), ConditioningOf('v')});
  Start();
  EXPECT_EQ(Ended(without).timings.encode_ms, 0);
  Ended(both);
  EXPECT_EQ(source_.requests.size(), 0u);
  const std::string positive_only = Submit(spec, {ConditioningOf('u'), std::nullopt});
  Ended(positive_only);
  EXPECT_EQ(PictureOf(without), "u-3");
  EXPECT_EQ(PictureOf(both), "uv3");
  EXPECT_EQ(PictureOf(positive_only), "u03");
}

TEST_F(JobRunnerTest, GivesTheFinisherAllThatAReceiptNeeds) {
  JobSpec spec = SpecOf("cat");
  spec.guidance_scale = 4;
  bool complete = false;
  finish_ = [&](const FinishRequest& request) {
    complete = request.spec == spec && request.parameters.shift == 3 && request.parameters.cfg_truncation == 1 &&
               request.renderer.row_limit == 1504 && request.positive.bytes[0] == 'c' &&
               request.negative->bytes[0] == '0';
    return request.picture.rgb;
  };
  const std::string id = Submit(spec);
  Start();
  Ended(id);
  EXPECT_TRUE(complete);
}

TEST_F(JobRunnerTest, FailsOneJobAloneWhateverItThrows) {
  source_.on_fetch = [](const FetchRequest& request, const CancelToken&, const auto&) {
    if (request.prompt.user == "source") throw Error(ErrorCode::kUnavailable, "no encoder answers");
    if (request.prompt.user == "stray") throw Error(ErrorCode::kCancelled, "the encoder called it off");
  };
  renderer_.on_step = [](int32_t, uint8_t fill) {
    if (fill == 'o') throw std::bad_alloc();
    if (fill == 't') throw std::runtime_error("a tensor is wrong\nand a long stack trace");
    if (fill == 'n') throw 42;
  };
  finish_ = [](const FinishRequest& request) -> std::vector<uint8_t> {
    if (request.positive.bytes[0] == 'p') throw Error(ErrorCode::kInternal, "no PNG");
    return request.picture.rgb;
  };
  struct Case {
    const char* prompt;
    const char* code;
    const char* error;
  };
  const std::vector<Case> cases = {{"source", "UNAVAILABLE", "no encoder answers"},
                                   {"oom", "RESOURCE_EXHAUSTED", "out of memory"},
                                   {"torch", "INTERNAL", "a tensor is wrong"},
                                   {"number", "INTERNAL", "an exception of unknown type"},
                                   {"png", "INTERNAL", "no PNG"}};
  Start();
  for (const Case& failing : cases) {
    const std::string id = Submit(SpecOf(failing.prompt));
    const std::string good = Submit(SpecOf("good"));
    const Job job = Ended(id);
    EXPECT_EQ(job.state, kFailed) << failing.prompt;
    EXPECT_EQ(job.error_code, failing.code);
    EXPECT_EQ(job.error, failing.error);
    EXPECT_EQ(job.picture, "");
    EXPECT_EQ(Ended(good).state, kDone) << "after " << failing.prompt;
  }
  const Job stray = Ended(Submit(SpecOf("stray")));
  EXPECT_EQ(stray.state, kFailed) << "nobody asked for its end";
  EXPECT_EQ(stray.error_code, "CANCELLED");
}

TEST_F(JobRunnerTest, FailsAJobWhoseUploadIsDamaged) {
  const std::string id = Submit(SpecOf("cat"), {ConditioningOf('u'), std::nullopt});
  for (const auto& file : std::filesystem::directory_iterator(folder_->conditioning())) {
    std::filesystem::resize_file(file.path(), 10);
  }
  Start();
  EXPECT_EQ(Ended(id).error_code, "DATA_LOSS");
  EXPECT_EQ(Ended(Submit(SpecOf("cat"))).state, kDone);
}

TEST_F(JobRunnerTest, StopsACancelledJobAtTheNextStep) {
  std::promise<void> in_step;
  std::promise<void> go_on;
  std::atomic<int> last_step = 0;
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill != 'l') return;
    last_step = step;
    if (step != 2) return;
    in_step.set_value();
    go_on.get_future().wait();
  };
  JobSpec spec = SpecOf("long");
  spec.steps = 100;
  const std::string id = Submit(spec);
  const std::string next = Submit(SpecOf("next"));
  Start();
  in_step.get_future().wait();
  EXPECT_EQ(queue_->Cancel(id)->state, kCancelled);
  go_on.set_value();
  EXPECT_EQ(Ended(next).state, kDone);
  EXPECT_EQ(last_step, 2);
  EXPECT_EQ(queue_->Get(id)->state, kCancelled);
  EXPECT_EQ(queue_->Get(id)->picture, "");
}

TEST_F(JobRunnerTest, LeavesNothingOfAJobThatIsForgottenUnderIt) {
  std::string id;
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill != 'l' || step != 2) return;
    EXPECT_TRUE(queue_->Cancel(id).ok());
    EXPECT_TRUE(queue_->Delete(id).ok());
  };
  id = Submit(SpecOf("long"));
  const std::string next = Submit(SpecOf("next"));
  Start();
  EXPECT_EQ(Ended(next).state, kDone);
  runner_->Stop();
  EXPECT_EQ(store_failures_, 0) << "the store did what it was told";
  EXPECT_EQ(checkpoints_->StepOf(id), 0) << "its checkpoint is removed";
}

TEST_F(JobRunnerTest, CallsTheEncoderOffWhenAJobIsCancelled) {
  std::promise<void> fetching;
  source_.on_fetch = [&](const FetchRequest& request, const CancelToken& cancel, const auto&) {
    if (request.prompt.user != "slow") return;
    fetching.set_value();
    while (!cancel.IsCancelled()) std::this_thread::sleep_for(milliseconds(1));
    throw Error(ErrorCode::kUnavailable, "the call was called off");
  };
  const std::string id = Submit(SpecOf("slow"));
  const std::string next = Submit(SpecOf("next"));
  Start();
  fetching.get_future().wait();
  ASSERT_TRUE(queue_->Cancel(id).ok());
  EXPECT_EQ(Ended(next).state, kDone);
  EXPECT_EQ(queue_->Get(id)->state, kCancelled);
}

TEST_F(JobRunnerTest, KeepsNoPictureOfAJobThatIsCancelledAtTheLastMoment) {
  std::string id;
  finish_ = [&](const FinishRequest& request) {
    EXPECT_TRUE(queue_->Cancel(id).ok());
    return request.picture.rgb;
  };
  id = Submit(SpecOf("cat"));
  Start();
  EXPECT_EQ(Ended(id).state, kCancelled);
  runner_->Stop();
  EXPECT_EQ(queue_->Get(id)->state, kCancelled);
  EXPECT_EQ(queue_->Get(id)->picture, "");
  EXPECT_EQ(changes_, " encoding ready rendering (sigmas 1 0) decoding cancelled");
}

TEST_F(JobRunnerTest, SaysWhatAJobWaitsFor) {
  std::promise<void> waiting;
  std::promise<void> go_on;
  source_.on_fetch = [&](const FetchRequest&, const CancelToken&, const auto& on_waiting) {
    on_waiting("encoder one does not answer");
    waiting.set_value();
    go_on.get_future().wait();
  };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  waiting.get_future().wait();
  EXPECT_EQ(queue_->Get(id)->state, kEncoding);
  EXPECT_EQ(queue_->Get(id)->detail, "encoder one does not answer");
  go_on.set_value();
  EXPECT_EQ(Ended(id).detail, "");
}

TEST_F(JobRunnerTest, HandsTheRunningJobBackWhenStoppedAndFinishesItInTheNextLife) {
  std::promise<void> in_step;
  std::atomic<bool> first_life = true;
  renderer_.on_step = [&](int32_t step, uint8_t) {
    if (!first_life || step != 1) return;
    in_step.set_value();
    while (!queue_->stopping()) std::this_thread::sleep_for(milliseconds(1));
  };
  const std::string running = Submit(SpecOf("cat"));
  const std::string waiting = Submit(SpecOf("dog"));
  Start();
  in_step.get_future().wait();
  runner_->Stop();
  EXPECT_EQ(store_->Get(running)->state, kQueued);
  EXPECT_EQ(store_->Get(running)->step, 0);
  EXPECT_EQ(store_->Get(running)->error, "");
  EXPECT_TRUE(changes_.ends_with(" queued")) << changes_;

  first_life = false;
  Open();
  EXPECT_LE(recovery_.waiting, 1) << "the other may have been ready; the running one was handed back";
  EXPECT_EQ(store_->Get(running)->crashes.count, 0);
  Start();
  EXPECT_EQ(Ended(running).state, kDone);
  EXPECT_EQ(Ended(waiting).state, kDone);
  EXPECT_EQ(PictureOf(running), "c-3");
}

TEST_F(JobRunnerTest, KeepsACancelledJobCancelledWhenItStopsAtTheSameTime) {
  std::string id;
  std::promise<void> stopping;
  renderer_.on_step = [&](int32_t, uint8_t) {
    EXPECT_TRUE(queue_->Cancel(id).ok());
    queue_->Stop();
    stopping.set_value();
  };
  id = Submit(SpecOf("cat"));
  Start();
  stopping.get_future().wait();
  runner_->Stop();
  EXPECT_EQ(store_->Get(id)->state, kCancelled);
  EXPECT_EQ(changes_, " encoding ready rendering (sigmas 1 0) cancelled");
}

TEST_F(JobRunnerTest, MakesOnePictureWhenALifeEndedBetweenPictureAndRow) {
  const std::string id = Submit(SpecOf("cat"));
  // As a crash between picture and row leaves it.
  ClaimedJob claimed = *queue_->ClaimToEncode(EncodeLane::kAny);
  for (const JobState state : {kReady, kRendering, kDecoding}) queue_->Advance(claimed.job, state);
  pictures_->Publish({'c', '-', '3'});
  Open();
  EXPECT_EQ(recovery_.waiting, 1);
  Start();
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(job.attempt, 2);
  EXPECT_EQ(PictureOf(id), "c-3");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_->pictures()), {}), 1);
}

// The attempt that lost its lease comes to its end when another has begun.
TEST_F(JobRunnerTest, PublishesNothingForAnAttemptThatIsNotTheJobsOwn) {
  finish_ = [&](const FinishRequest& request) {
    const Job job = store_->UnderWay().front();
    store_->Transition({job.id}, kDecoding, kQueued, {});
    for (const JobState next : {kEncoding, kReady, kRendering, kDecoding}) {
      store_->Transition({job.id}, store_->Get(job.id)->state, next, {});
    }
    return request.picture.rgb;
  };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  Ended(id);
  runner_->Stop();
  EXPECT_EQ(store_->Get(id)->state, kDecoding) << "as the other attempt left it";
  EXPECT_EQ(store_->Get(id)->attempt, 2);
  EXPECT_EQ(store_->Get(id)->picture, "");
}

TEST_F(JobRunnerTest, GoesOnFromTheCheckpointOfAnEarlierLife) {
  JobSpec spec = SpecOf("cat");
  spec.steps = 5;
  const std::string id = Submit(spec);
  std::promise<void> in_step;
  std::atomic<bool> first_life = true;
  std::vector<int32_t> painted;
  renderer_.on_step = [&](int32_t step, uint8_t) {
    if (!first_life) painted.push_back(step);
    if (!first_life || step != 4) return;
    in_step.set_value();
    while (!queue_->stopping()) std::this_thread::sleep_for(milliseconds(1));
  };
  Start();
  in_step.get_future().wait();
  runner_->Stop();
  first_life = false;
  changes_.clear();
  Open();
  Start();
  const Job job = Ended(id);
  runner_->Stop();
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(painted, (std::vector<int32_t>{5}));
  EXPECT_EQ(job.timings.step_ms, (std::vector<double>{10, 20, 30, 40, 50})) << "those of the earlier life too";
  EXPECT_EQ(job.step, 5);
  EXPECT_TRUE(Says(changes_, "from 4")) << changes_;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_->checkpoints()), {}), 0) << "it is of no use now";
}

TEST_F(JobRunnerTest, StartsOverWhenTheCheckpointIsDamagedOrOfAnotherPicture) {
  for (const bool damaged : {true, false}) {
    Open();
    const std::string id = Submit(SpecOf("cat"));
    checkpoints_->Save(id, {"of another picture", LatentState{2, 1, 1, 1, {7}}, "{}"});
    EXPECT_EQ(checkpoints_->StepOf(id), 2);
    if (damaged) {
      for (const auto& file : std::filesystem::directory_iterator(folder_->checkpoints())) {
        std::filesystem::resize_file(file.path(), 20);
      }
    }
    std::atomic<int32_t> first_step = 0;
    renderer_.on_step = [&](int32_t step, uint8_t) {
      if (first_step == 0) first_step = step;
    };
    changes_.clear();
    Start();
    EXPECT_EQ(Ended(id).state, kDone);
    EXPECT_EQ(first_step, 1);
    runner_->Stop();
    EXPECT_TRUE(Says(changes_, "[")) << "the reason is told: " << changes_;
  }
}

TEST_F(JobRunnerTest, PaintsOnWhenNoCheckpointCanBeWritten) {
  std::filesystem::remove_all(folder_->checkpoints());
  const std::string id = Submit(SpecOf("cat"));
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  EXPECT_EQ(PictureOf(id), "c-3");
}

TEST_F(JobRunnerTest, EncodesTheNextJobWhileAnotherIsPainted) {
  std::promise<void> second_encoded;
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill == 'a' && step == 1) second_encoded.get_future().wait();
  };
  source_.on_fetch = [&](const FetchRequest& request, const CancelToken&, const auto&) {
    if (request.prompt.user == "b") second_encoded.set_value();
  };
  const std::string a = Submit(SpecOf("a"));
  const std::string b = Submit(SpecOf("b"));
  Start();
  EXPECT_EQ(Ended(a).state, kDone) << "a cannot go on before b is encoded";
  EXPECT_EQ(Ended(b).state, kDone);
}

TEST_F(JobRunnerTest, PaintsTheNextPictureWhileOneIsWritten) {
  std::promise<void> second_begun;
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill == 'b' && step == 1) second_begun.set_value();
  };
  finish_ = [&](const FinishRequest& request) {
    if (request.positive.bytes[0] == 'a') second_begun.get_future().wait();
    return request.picture.rgb;
  };
  const std::string a = Submit(SpecOf("a"));
  const std::string b = Submit(SpecOf("b"));
  Start();
  EXPECT_EQ(Ended(a).state, kDone) << "a is not written before b is begun";
  EXPECT_EQ(Ended(b).state, kDone);
  EXPECT_EQ(PictureOf(a), "a-3");
  EXPECT_EQ(PictureOf(b), "b-3");
}

TEST_F(JobRunnerTest, PaintsWhatIsStoredWhileNoEncoderAnswers) {
  std::promise<void> encoder_is_back;
  const std::shared_future<void> back = encoder_is_back.get_future().share();
  source_.has = [](const FetchRequest& request) { return request.prompt.user == "known"; };
  source_.on_fetch = [&](const FetchRequest& request, const CancelToken&, const auto& on_waiting) {
    if (request.prompt.user == "known") return;
    on_waiting("no encoder answers");
    back.wait();
  };
  std::vector<std::string> new_ids;
  for (int i = 0; i < 4; ++i) new_ids.push_back(Submit(SpecOf("new")));
  const std::string known = Submit(SpecOf("known"));  // of an earlier life: nobody has said that it is stored
  Start();
  EXPECT_EQ(Ended(known).state, kDone);
  const std::string later = queue_->Submit(SpecOf("known"), {}, true)->id;
  EXPECT_EQ(Ended(later).state, kDone);
  EXPECT_EQ(queue_->Get(new_ids[0])->state, kEncoding);
  EXPECT_EQ(queue_->Get(new_ids[0])->detail, "no encoder answers");
  EXPECT_EQ(queue_->Get(new_ids[3])->state, kQueued);
  encoder_is_back.set_value();
  for (const std::string& id : new_ids) EXPECT_EQ(Ended(id).state, kDone);
}

TEST_F(JobRunnerTest, WhatIsNotStoredAfterAllHoldsUpNobodyWhoseIs) {
  std::promise<void> encoder_is_back;
  const std::shared_future<void> back = encoder_is_back.get_future().share();
  std::promise<void> first_waits;
  source_.on_fetch = [&](const FetchRequest& request, const CancelToken&, const auto& on_waiting) {
    if (request.prompt.user == "known") return;
    if (request.prompt.user == "new") first_waits.set_value();
    on_waiting("no encoder answers");
    back.wait();
  };
  Start();
  const std::string waits = Submit(SpecOf("new"));
  first_waits.get_future().wait();
  const std::string damaged = queue_->Submit(SpecOf("damaged"), {}, /*stored=*/true)->id;
  const std::string known = queue_->Submit(SpecOf("known"), {}, /*stored=*/true)->id;
  EXPECT_EQ(Ended(known).state, kDone);
  EXPECT_EQ(queue_->Get(damaged)->state, kQueued);
  encoder_is_back.set_value();
  EXPECT_EQ(Ended(damaged).state, kDone);
  EXPECT_EQ(Ended(waits).state, kDone);
}

TEST_F(JobRunnerTest, FailsAJobAtItsDeadlineWhereverItIs) {
  std::promise<void> in_step;
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill != 'l' || step != 1) return;
    in_step.set_value();
    while (queue_->Get(queue_->List({})->back().id)->state == kRendering) std::this_thread::sleep_for(milliseconds(1));
  };
  JobSpec spec = SpecOf("long");
  spec.timeout_ms = 5000;
  const std::string running = Submit(spec);
  Start();
  in_step.get_future().wait();
  spec.timeout_ms = 4000;
  spec.prompt = PromptOf("waits");
  clock_.Pass(4999);
  queue_->FailOverdue();
  EXPECT_EQ(queue_->Get(running)->state, kRendering);
  clock_.Pass(1);
  queue_->FailOverdue();
  const Job job = Ended(running);
  EXPECT_EQ(job.state, kFailed);
  EXPECT_EQ(job.error_code, "DEADLINE_EXCEEDED");
  EXPECT_TRUE(Says(job.error, "its deadline passed 5 s after it was accepted; it was rendering")) << job.error;
  EXPECT_EQ(Ended(Submit(SpecOf("next"))).state, kDone);
}

// The disk is full when the deadline passes, or when somebody cancels: the work ends, and the row follows.
TEST_F(JobRunnerTest, StopsTheWorkOnAJobAlsoWhenItsEndCannotBeStored) {
  std::promise<void> in_step;
  std::atomic<int> steps = 0;
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill == 'l' || fill == 'o') steps = step;
    if (fill == 'l' && step == 1) {
      store_->full = true;
      clock_.Pass(5000);
      EXPECT_THROW(queue_->FailOverdue(), Error);
    }
    if (fill == 'o' && step == 1) {
      store_->full = true;
      EXPECT_EQ(queue_->Cancel(queue_->List({})->front().id).status().code(), absl::StatusCode::kResourceExhausted);
    }
  };
  JobSpec spec = SpecOf("long");
  spec.timeout_ms = 5000;
  const std::string overdue = Submit(spec);
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(steps, 1);
  store_->full = false;
  const Job failed = Ended(overdue);
  EXPECT_EQ(failed.state, kFailed);
  EXPECT_EQ(failed.error_code, "DEADLINE_EXCEEDED");

  const int before = store_failures_;
  const std::string cancelled = Submit(SpecOf("other"));
  while (store_failures_ == before) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(steps, 1);
  store_->full = false;
  EXPECT_EQ(Ended(cancelled).state, kCancelled);
}

TEST_F(JobRunnerTest, SaysNothingToWaitForOnceTheEncoderWorks) {
  std::promise<void> works, seen;
  source_.on_fetch = [&](const FetchRequest&, const CancelToken&, const auto& on_waiting) {
    on_waiting("no encoder answers");
    EXPECT_EQ(queue_->Get(queue_->List({})->front().id)->detail, "no encoder answers");
    on_waiting("");
    EXPECT_EQ(queue_->Get(queue_->List({})->front().id)->detail, "");
  };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
}

TEST_F(JobRunnerTest, SendsPreviewsToThoseWhoWantThem) {
  preview_ = [](const Picture& preview) { return preview.rgb; };
  const std::string id = Submit(SpecOf("cat"));
  const auto with = *queue_->Watch(id, {.previews = true});
  const auto without = *queue_->Watch(id);
  Start();
  Job job;
  std::vector<int32_t> steps;
  for (JobWatch::Outcome outcome; (outcome = with->Next(kSoon, &job)) != JobWatch::Outcome::kEnded;) {
    if (outcome == JobWatch::Outcome::kPreview) steps.push_back(with->preview().step);
  }
  while (true) {
    const JobWatch::Outcome outcome = without->Next(kSoon, &job);
    EXPECT_NE(outcome, JobWatch::Outcome::kPreview);
    if (outcome == JobWatch::Outcome::kEnded) break;
  }
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
  EXPECT_FALSE(steps.empty());
}

// A row that says done before its picture is on disk would promise a picture that a power cut takes away.
TEST_F(JobRunnerTest, PaintsOnWhenAPreviewCannotBeMade) {
  preview_ = [](const Picture&) -> std::vector<uint8_t> { throw Error(ErrorCode::kInternal, "no JPEG"); };
  const std::string id = Submit(SpecOf("cat"));
  const auto watch = *queue_->Watch(id, {.previews = true});
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
}

TEST_F(JobRunnerTest, SyncsTheOutcomeOnceAndOnlyWhenPictureAndRowAreThere) {
  const std::string id = Submit(SpecOf("cat"));
  std::vector<std::string> synced;  // the job's state at each sync
  store_->on_sync = [&] {
    const Job job = *store_->Get(id);
    synced.push_back(std::string(JobStateName(job.state)) +
                     (!job.picture.empty() && pictures_->Has(job.picture) ? " with picture" : ""));
  };
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  runner_->Stop();
  EXPECT_EQ(synced, std::vector<std::string>{"done with picture"});
}

TEST_F(JobRunnerTest, AnOutcomeThatCannotBeSyncedIsReportedAndStands) {
  const std::string id = Submit(SpecOf("cat"));
  store_->on_sync = [] { throw Error(ErrorCode::kInternal, "cannot sync"); };
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  runner_->Stop();
  EXPECT_EQ(store_failures_, 1);
  EXPECT_EQ(store_failed_for_, std::set<std::string>{id});
}

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
  batch_ = JobRunnerParts{*queue_, *store_, *pictures_, *checkpoints_, source_, renderer_, clock_, finish_}.batch;
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
  EXPECT_EQ(renderer_.batches, (Batches{"h", "abc"}));
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

TEST_F(JobRunnerTest, WaitsForAFullDiskInsteadOfLosingTheJob) {
  renderer_.on_decoded = [this] { store_->full = true; };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(queue_->Get(id)->detail, "database or disk is full");
  store_->full = false;
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(job.detail, "");
  EXPECT_EQ(PictureOf(id), "c-3");
  runner_->Stop();
  EXPECT_EQ(store_failed_for_, std::set<std::string>{id});
}

TEST_F(JobRunnerTest, KeepsThePictureOfAJobWhoseRowWaitsForTheDisk) {
  ConditioningFiles uploads(folder_->conditioning());
  finish_ = [this](const FinishRequest& request) {
    store_->full = true;
    return request.picture.rgb;
  };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  for (const auto& file : std::filesystem::directory_iterator(folder_->pictures())) {  // the disk stays full for long
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(11));
  }
  const int before = store_failures_;
  while (store_failures_ == before) std::this_thread::sleep_for(milliseconds(1));  // another try
  Sweep(*store_, *pictures_, uploads, {}, clock_.UnixMs());
  store_->full = false;
  EXPECT_EQ(Ended(id).state, kDone);
  EXPECT_EQ(PictureOf(id), "c-3");
}

TEST_F(JobRunnerTest, WaitsForALockedStoreBeforeItReadsTheUpload) {
  store_->locked = true;
  const std::string id = Submit(SpecOf("cat"), {ConditioningOf('u'), std::nullopt});
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(queue_->Get(id)->detail, "database is locked");
  store_->locked = false;
  EXPECT_EQ(Ended(id).state, kDone);
  EXPECT_EQ(PictureOf(id), "u-3");
}

TEST_F(JobRunnerTest, StopsAlsoWhileTheDiskIsFull) {
  store_->full = true;
  const std::string id = Submit(SpecOf("cat"));
  Start();
  while (store_failures_ == 0) std::this_thread::sleep_for(milliseconds(1));
  runner_->Stop();
  EXPECT_EQ(store_->Get(id)->state, kQueued);
  Open();
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
}

}  // namespace
}  // namespace diptych
