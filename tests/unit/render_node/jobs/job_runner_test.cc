#include "render_node/jobs/job_runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/conditioning/token_limit.h"
#include "common/image/png.h"
#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"
#include "tests/unit/render_node/jobs/job_runner_fixture.h"

namespace diptych {
namespace {

using enum JobState;
using std::chrono::milliseconds;
using Outcome = JobWatch::Outcome;

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

TEST_F(JobRunnerTest, DecodesAPictureThatHasNoStepToTake) {
  renderer_.evaluations = 0;
  const std::string id = Submit(SpecOf("cat"));
  Start();
  const Job job = Ended(id);
  runner_->Stop();
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(changes_, " encoding ready rendering (sigmas 1 0) decoding done");
  EXPECT_EQ(job.step, 0);
}

// While one picture is painted, the sources of two others go away: the small one has been read by then.
TEST_F(JobRunnerTest, ASmallSourceIsReadyBeforeThePaintersTurnAndALargeOneIsReadInIt) {
  const auto spec_of = [&](const std::string& prompt, uint8_t grey, int32_t side) {
    JobSpec spec = SpecOf(prompt);
    const std::string png = EncodePng({8, 8, std::vector<uint8_t>(8 * 8 * 3, grey)}, {});
    spec.source = {Sha256Hex(png)};
    const auto upload = inputs_->Begin(spec.source.hex, static_cast<int64_t>(png.size()), "a");
    upload->Add(png);
    upload->Finish();
    spec.width = spec.height = side;
    return spec;
  };
  limits_.encode_ahead = 3;
  Open();
  const std::string first = Submit(SpecOf("noise"));
  const std::string small = Submit(spec_of("small", 10, 16));
  const std::string large = Submit(spec_of("large", 20, 4112));  // 64.5 MiB with its mask
  renderer_.on_step = [&](int32_t step, uint8_t fill) {
    if (fill != 'n' || step != 1) return;
    while (queue_->Get(small)->state != kReady || queue_->Get(large)->state != kReady)
      std::this_thread::sleep_for(milliseconds(1));
    for (const std::string& id : {small, large})
      std::filesystem::remove(folder_->inputs() / queue_->Get(id)->spec.source.hex);
  };
  Start();
  EXPECT_EQ(Ended(first).state, kDone);
  EXPECT_EQ(Ended(small).state, kDone);
  const Job failed = Ended(large);
  runner_->Stop();
  EXPECT_EQ(renderer_.sources, (std::vector<int32_t>{0, 16}));
  EXPECT_EQ(failed.state, kFailed);
  EXPECT_TRUE(Says(failed.error, "source: ")) << failed.error;
}

TEST_F(JobRunnerTest, SaysHowManyTilesOfThePictureAreDecoded) {
  const std::string id = Submit(SpecOf("cat"));
  std::vector<std::string> seen;
  renderer_.tiles = 2;
  renderer_.on_tile = [&](int32_t) {
    const Job job = *queue_->Get(id);
    seen.push_back(std::string(JobStateName(job.state)) + " " + std::to_string(job.tiles_done) + " of " +
                   std::to_string(job.tiles));
  };
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  runner_->Stop();
  EXPECT_EQ(seen, (std::vector<std::string>{"decoding 1 of 2", "decoding 2 of 2"}));
}

TEST_F(JobRunnerTest, FailsAJobAloneWhosePromptHasMoreTokensThanAreAllowed) {
  max_prompt_tokens_ = 2;  // the fake's conditioning is of 3
  const std::string id = Submit(SpecOf("cat"));
  Start();
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kFailed);
  EXPECT_EQ(job.error_code, "INVALID_ARGUMENT");
  EXPECT_EQ(job.error, "the prompt has 3 tokens; this renderer allows at most 2 (render.max_prompt_tokens)");
  ASSERT_EQ(source_.requests.size(), 1u);
  EXPECT_EQ(source_.requests[0].token_limit, 2) << "the encoder can refuse it before the work";
  EXPECT_EQ(source_.requests[0].client, job.spec.client);
}

TEST_F(JobRunnerTest, SaysWhichPromptTheEncoderRefusedForItsTokens) {
  max_prompt_tokens_ = 10;
  source_.on_fetch = [](const FetchRequest& request, const CancelToken&, const auto&) {
    if (request.prompt != PromptOf("dog")) return;
    try {
      CheckTokenLimit("prompt", 12, request.token_limit);
    } catch (const Error& error) {
      throw Error(error.code(), std::string("encoder 10.0.0.1:1: ") + error.what());
    }
  };
  JobSpec spec = SpecOf("cat");
  spec.guidance_scale = 4;
  spec.negative = PromptOf("dog");
  const std::string negative = Submit(spec), positive = Submit(SpecOf("dog"));
  Start();
  EXPECT_EQ(Ended(negative).error,
            "the negative prompt has 12 tokens; this renderer allows at most 10 (render.max_prompt_tokens)");
  EXPECT_EQ(Ended(positive).error,
            "the prompt has 12 tokens; this renderer allows at most 10 (render.max_prompt_tokens)");
  EXPECT_EQ(Ended(positive).error_code, "INVALID_ARGUMENT");
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

// The encoder's model was replaced between the two.
TEST_F(JobRunnerTest, TakesPositiveAndNegativeFromOneModel) {
  std::atomic<int> asked = 0;
  source_.on_fetch = [&](const FetchRequest&, const CancelToken&, const auto&) {
    source_.model_fingerprint = std::string(64, ++asked == 1 ? 'a' : 'b');
  };
  finish_ = [](const FinishRequest& request) {
    EXPECT_EQ(request.positive.header.model_fingerprint, std::string(64, 'b'));
    EXPECT_EQ(request.negative->header.model_fingerprint, std::string(64, 'b'));
    return request.picture.rgb;
  };
  JobSpec spec = SpecOf("cat");
  spec.guidance_scale = 4;
  Start();
  EXPECT_EQ(Ended(Submit(spec)).state, kDone);
  EXPECT_EQ(asked, 3);
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

TEST_F(JobRunnerTest, ASlowStoreDelaysNoStep) {
  std::atomic<int> saves = 0;
  store_->on_save = [&] {
    ++saves;
    std::this_thread::sleep_for(std::chrono::seconds(2));
  };
  std::vector<std::chrono::steady_clock::time_point> steps;
  renderer_.on_step = [&](int32_t, uint8_t) {
    clock_.Pass(1000);  // time to store each
    steps.push_back(std::chrono::steady_clock::now());
  };
  JobSpec spec = SpecOf("cat");
  spec.steps = 9;
  const std::string id = Submit(spec);
  Start();
  EXPECT_EQ(Ended(id).state, kDone);
  runner_.reset();
  ASSERT_EQ(steps.size(), 9u);
  EXPECT_LT(steps.back() - steps.front(), std::chrono::seconds(1)) << "was 2 s a step";
  EXPECT_GE(saves, 1);
  queue_.reset();  // what was on its way is written by now
  EXPECT_EQ(store_->Get(id)->state, kDone);
  EXPECT_EQ(store_->Get(id)->timings.step_ms.size(), 9u) << "and has undone nothing";
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

TEST_F(JobRunnerTest, WaitsAgainWhenTheSystemHasNoThreadOrNoMemoryForIt) {
  std::atomic<int> left = 12;
  const auto thread_fails = [&left] {
    if (--left >= 0) throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  };
  source_.on_fetch = [&](const FetchRequest&, const CancelToken&, const auto&) {
    if (left > 8) thread_fails();
  };
  std::atomic<int> no_memory = 2;
  renderer_.on_step = [&](int32_t, uint8_t) {
    if (left > 4) thread_fails();
    if (--no_memory >= 0) throw std::bad_alloc();
  };
  finish_ = [&](const FinishRequest& request) {
    thread_fails();
    return request.picture.rgb;
  };
  Start();
  const Job job = Ended(Submit(SpecOf("a job that was accepted")));
  EXPECT_EQ(job.state, kDone) << job.error;
  EXPECT_LT(left, 0);
  EXPECT_EQ(job.detail, "");
}

TEST_F(JobRunnerTest, WaitsWhileTheRenderersWeightsAreNotThoseThatWereLoaded) {
  const std::string why = "w.safetensors: was changed while in use";
  const auto await_detail = [&](const std::string& id) {
    for (int i = 0; i < 20'000 && queue_->Get(id)->detail != why; ++i) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_EQ(queue_->Get(id)->detail, why);
  };
  renderer_.weights_changed = true;
  const std::string cancelled = Submit(SpecOf("away"));
  Start();
  await_detail(cancelled);
  EXPECT_EQ(queue_->Get(cancelled)->state, JobState::kReady);
  ASSERT_TRUE(queue_->Cancel(cancelled).ok());
  const std::string id = Submit(SpecOf("cat"));
  await_detail(id);
  renderer_.weights_changed = false;
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kDone);
  EXPECT_EQ(job.detail, "");
  EXPECT_EQ(queue_->Get(cancelled)->state, kCancelled);
}

TEST_F(JobRunnerTest, PaintsAgainWhatWasPaintedWhileTheWeightsChanged) {
  std::atomic<int> times = 0;
  renderer_.on_decoded = [&] {
    if (++times == 1) throw Error(ErrorCode::kUnavailable, "w.safetensors: was changed while in use");
  };
  const std::string id = Submit(SpecOf("cat"));
  Start();
  const Job job = Ended(id);
  EXPECT_EQ(job.state, kDone) << job.error;
  EXPECT_EQ(times, 2);
  EXPECT_EQ(job.detail, "");
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

}  // namespace
}  // namespace diptych
