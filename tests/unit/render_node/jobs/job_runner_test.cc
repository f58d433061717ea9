#include "render_node/jobs/job_runner.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
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
    queue_ = std::make_unique<JobQueue>(*store_, *scheduler_, clock_, QueueLimits());
  }
  void Start() {
    JobRunnerEvents events;
    events.state_changed = [this](const Job& job) { changes_.append(" ").append(JobStateName(job.state)); };
    events.planned = [this](const Job&, const std::string& plan) { changes_.append(" (").append(plan).append(")"); };
    events.store_failed = [this](const absl::Status&) { ++store_failures_; };
    runner_ = std::make_unique<JobRunner>(
        JobRunnerParts{*queue_, *store_, *pictures_, source_, renderer_, clock_, finish_, events});
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
    const std::vector<uint8_t> bytes = pictures_->Load(id);
    return {bytes.begin(), bytes.end()};
  }

  TemporaryFolder temporary_;
  uint64_t lives_ = 0;
  FakeClock clock_;
  FakeSource source_;
  FakeRenderer renderer_;
  PictureFinisher finish_ = PixelsAsPng;
  std::string changes_;  // written by the worker; read when it has stopped
  std::atomic<int> store_failures_ = 0;
  std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<SqliteJobStore> sqlite_;
  std::unique_ptr<FillableStore> store_;
  std::unique_ptr<PictureStore> pictures_;
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
    EXPECT_FALSE(pictures_->Has(id));
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
  EXPECT_FALSE(pictures_->Has(id));
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
  EXPECT_FALSE(pictures_->Has(id));
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
  EXPECT_EQ(changes_, " encoding ready rendering (sigmas 1 0) queued");

  first_life = false;
  Open();
  EXPECT_EQ(queue_->interrupted(), 0) << "nothing was left under way";
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

TEST_F(JobRunnerTest, ReplacesThePictureOfALifeThatEndedBeforeItsRow) {
  const std::string id = Submit(SpecOf("cat"));
  // As a crash between picture and row leaves it.
  ClaimedJob claimed = *queue_->Claim();
  for (const JobState state : {kReady, kRendering, kDecoding}) queue_->Advance(claimed.job, state);
  pictures_->Publish(id, {'o', 'l', 'd'});  // not what is painted now, so that one can tell
  Open();
  EXPECT_EQ(queue_->interrupted(), 1);
  Start();
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(job.attempt, 2);
  EXPECT_EQ(PictureOf(id), "c-3");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_->pictures()), {}), 1);
}

// A row that says done before its picture is on disk would promise a picture that a power cut takes away.
TEST_F(JobRunnerTest, SyncsTheOutcomeOnceAndOnlyWhenPictureAndRowAreThere) {
  const std::string id = Submit(SpecOf("cat"));
  std::vector<std::string> synced;  // the job's state at each sync
  store_->on_sync = [&] {
    synced.push_back(std::string(JobStateName(store_->Get(id)->state)) + (pictures_->Has(id) ? " with picture" : ""));
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
