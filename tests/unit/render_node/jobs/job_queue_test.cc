#include "render_node/jobs/job_queue.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fakes.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"
#include "tests/unit/render_node/jobs/job_queue_fixture.h"

namespace diptych {
namespace {

using enum JobState;
using std::chrono::milliseconds;

TEST_F(JobQueueTest, AnswersASubmissionOnceItIsOnDiskAndLetsTheWorkBeginBefore) {
  FillableStore slow(*store_);
  FairScheduler scheduler;
  JobQueue queue(Parts(slow, scheduler, {100, 1000}));
  std::promise<void> disk;
  slow.on_sync = [&] { disk.get_future().wait(); };
  auto answer = std::async(std::launch::async, [&] { return queue.Submit(SpecOf("a cat", ""), {}); });
  const ClaimedJob claimed = Claim(queue);
  EXPECT_EQ(answer.wait_for(milliseconds(50)), std::future_status::timeout);
  disk.set_value();
  EXPECT_EQ(answer.get()->id, claimed.job.id);
}

TEST_F(JobQueueTest, AnswersASubmissionWithTheJobsAhead) {
  const auto first = queue_->Submit(SpecOf("a cat", "ada"), {});
  const auto second = queue_->Submit(SpecOf("a cat", "ada"), {});
  const auto third = queue_->Submit(SpecOf("a cat", "bob"), {});
  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  EXPECT_EQ(first->jobs_ahead, 0);
  EXPECT_EQ(second->jobs_ahead, 1);
  EXPECT_EQ(third->jobs_ahead, 1) << "bob's turn comes before ada's second job";
  Claim();
  EXPECT_EQ(queue_->Submit(SpecOf("a cat", "cy"), {})->jobs_ahead, 3) << "one in work, one of bob, one of ada";
  EXPECT_TRUE(store_->Get(first->id).has_value());
}

TEST_F(JobQueueTest, RefusesABadSpecBeforeStoringIt) {
  const auto answer = queue_->Submit(SpecOf("\xFF"), {});
  EXPECT_TRUE(absl::IsInvalidArgument(answer.status())) << answer.status();
  EXPECT_TRUE(queue_->Submit(SpecOf(std::string(1001, 'x')), {}).status().message().find("limit is 1000") !=
              absl::string_view::npos);
  EXPECT_TRUE(queue_->List({})->empty());
}

TEST_F(JobQueueTest, RefusesMoreThanItsLimit) {
  Open(2);
  Submit();
  const std::string second = Submit();
  EXPECT_TRUE(absl::IsResourceExhausted(queue_->Submit(SpecOf("a cat"), {}).status()));
  ASSERT_TRUE(queue_->Cancel(second).ok());
  EXPECT_TRUE(queue_->Submit(SpecOf("a cat"), {}).ok());
  Claim();
  EXPECT_TRUE(queue_->Submit(SpecOf("a cat"), {}).ok()) << "a job in work does not wait";
}

TEST_F(JobQueueTest, RefusesMoreThanAClientsShareAndSaysWhenToTryAgain) {
  FairScheduler scheduler;
  JobQueue queue(Parts(*store_, scheduler, {.waiting = 100, .client_waiting = 2, .encode_ahead = 100}));
  const auto submit = [&](const char* client) { return queue.Submit(SpecOf("a cat", client), {}); };
  ASSERT_TRUE(submit("ada").ok() && submit("ada").ok());
  const absl::Status refused = submit("ada").status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_TRUE(Says(std::string(refused.message()),
                   "client \"ada\" has 2 jobs waiting, the limit for one is 2; 2 wait or are worked on in all"))
      << refused;
  EXPECT_EQ(refused.GetPayload(kRetryAfterPayload), absl::Cord("1000")) << "nothing measured yet";
  EXPECT_EQ(refused.GetPayload(kLimitPayload), absl::Cord("client"));
  EXPECT_TRUE(submit("bob").ok());

  // A picture that took 5 s.
  ClaimedJob claimed = Claim(queue);
  claimed.job.timings.encode_ms = 1;
  queue.Advance(claimed.job, kReady);
  queue.HandOver(claimed, nullptr);
  claimed = *queue.ClaimToRender();
  clock_.steady_ms = clock_.steady_ms + 5000;
  for (const JobState next : {kRendering, kDecoding, kDone}) queue.Advance(claimed.job, next);
  queue.Release(claimed.job.id);
  ASSERT_TRUE(submit("ada").ok());
  EXPECT_EQ(submit("ada").status().GetPayload(kRetryAfterPayload), absl::Cord("5000"));
  EXPECT_EQ(queue.PlaceOf(queue.Submit(SpecOf("a cat", "cy"), {})->id)->wait_ms, 2 * 5000.0)
      << "one of ada and one of bob are before cy's";
}

TEST_F(JobQueueTest, CountsItsJobsByStateAndNamesTheOneThatIsPainted) {
  Submit("ada");
  const std::string painted = ClaimUntil(kRendering).job.id;
  Submit("ada");
  ClaimUntil(kReady);
  const std::string encoded = Submit("bob");
  ClaimUntil(kEncoding);
  for (int i = 0; i < 3; ++i) Submit("cy");
  JobQueue::Census census = queue_->census();
  EXPECT_EQ(census.Count(kQueued), 3);
  EXPECT_EQ(census.Count(kEncoding), 1);
  EXPECT_EQ(census.Count(kReady), 1);
  EXPECT_EQ(census.Count(kRendering), 1);
  EXPECT_EQ(census.waiting_per_client, std::vector<int64_t>{3});
  ASSERT_TRUE(census.at_work);
  EXPECT_EQ(census.at_work->id, painted);
  EXPECT_EQ(census.at_work->state, kRendering);
  EXPECT_EQ(census.at_work->steps, SpecOf("a cat").steps);
  ASSERT_TRUE(queue_->Cancel(painted).ok());
  census = queue_->census();
  EXPECT_EQ(census.Count(kRendering), 0);
  EXPECT_EQ(census.Count(kCancelled), 0) << "it has ended";
  EXPECT_EQ(census.at_work->id, encoded);
}

TEST_F(JobQueueTest, GivesARepeatedSubmissionTheJobThatItHas) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "once";
  const SubmittedJob first = *queue_->Submit(spec, {});
  const SubmittedJob again = *queue_->Submit(spec, {});
  EXPECT_EQ(again.id, first.id);
  EXPECT_FALSE(again.is_new);
  EXPECT_EQ(queue_->waiting(), 1);
  ClaimUntil(kDone);
  const SubmittedJob done = *queue_->Submit(spec, {});
  EXPECT_EQ(done.id, first.id) << "also when it is done";
  EXPECT_EQ(done.jobs_ahead, 0);
  EXPECT_EQ(queue_->waiting(), 0);
}

TEST_F(JobQueueTest, GivesARepeatedSubmissionItsJobAlsoWhenTheQueueIsFull) {
  Open(1);
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "once";
  const SubmittedJob first = *queue_->Submit(spec, {});
  const auto again = queue_->Submit(spec, {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, first.id);
  spec.idempotency_key = "twice";
  EXPECT_TRUE(absl::IsResourceExhausted(queue_->Submit(spec, {}).status()));
}

TEST_F(JobQueueTest, CountsTheJobsOfAHostWhateverNamesItGives) {
  FairScheduler scheduler;
  JobQueue queue(Parts(*store_, scheduler, {.waiting = 100, .host_jobs = 3, .encode_ahead = 100}));
  const auto submit = [&](const std::string& client, const char* host) {
    return queue.Submit(SpecOf("a cat", client), {}, false, host);
  };
  std::string first = submit("name 0", "10.0.0.7")->id;
  for (const char* name : {"name 1", "name 2"}) ASSERT_TRUE(submit(name, "10.0.0.7").ok());
  for (int i = 3; i < 50; ++i) {
    const absl::Status refused = submit("name " + std::to_string(i), "10.0.0.7").status();
    ASSERT_TRUE(absl::IsResourceExhausted(refused)) << refused;
    EXPECT_TRUE(Says(std::string(refused.message()), "host 10.0.0.7 has 3 unfinished jobs, the limit for one is 3"))
        << refused;
    EXPECT_EQ(refused.GetPayload(kLimitPayload), absl::Cord("host"));
  }
  EXPECT_TRUE(submit("name 0", "10.0.0.8").ok()) << "another host has its own share";
  Claim(queue);
  EXPECT_FALSE(submit("name 3", "10.0.0.7").ok()) << "a job in work is not finished";
  ASSERT_TRUE(queue.Cancel(first).ok());
  EXPECT_TRUE(submit("name 3", "10.0.0.7").ok());
  EXPECT_FALSE(submit("name 4", "10.0.0.7").ok());
}

TEST_F(JobQueueTest, CountsTheBytesOfAHostOverTheDaemonsLives) {
  const QueueLimits limits{.waiting = 100, .host_bytes = 1000, .encode_ahead = 100};
  std::string id;
  {
    FairScheduler scheduler;
    JobQueue queue(Parts(*store_, scheduler, limits));
    id = queue.Submit(SpecOf(std::string(600, 'x'), "ada"), {}, false, "10.0.0.7")->id;
    const absl::Status refused = queue.Submit(SpecOf(std::string(600, 'x'), "bob"), {}, false, "10.0.0.7").status();
    EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
    EXPECT_TRUE(queue.Submit(SpecOf("a cat", "bob"), {}, false, "10.0.0.7").ok());
  }
  FairScheduler scheduler;
  JobQueue queue(Parts(*store_, scheduler, limits));
  const absl::Status refused = queue.Submit(SpecOf(std::string(600, 'x'), "bob"), {}, false, "10.0.0.7").status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  ASSERT_TRUE(queue.Cancel(id).ok());
  EXPECT_TRUE(queue.Submit(SpecOf(std::string(600, 'x'), "bob"), {}, false, "10.0.0.7").ok());
}

TEST_F(JobQueueTest, AKeyedSubmissionThatCannotBePromisedYetIsFoundByTheNextTry) {
  FillableStore broken(*store_);
  FairScheduler scheduler;
  JobQueue queue(Parts(broken, scheduler, {100, 1000}));
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "once";
  broken.on_sync = [] { throw Error(ErrorCode::kResourceExhausted, "cannot sync"); };
  EXPECT_EQ(queue.Submit(spec, {}).status(),
            absl::ResourceExhaustedError("cannot sync; try again with the same idempotency key"));
  broken.on_sync = nullptr;
  const auto again = queue.Submit(spec, {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->is_new) << "whoever was answered meanwhile has the same job";
  EXPECT_EQ(queue.Get(again->id)->state, kQueued) << "a job that is never painted is no answer to another try";
  EXPECT_EQ(queue.waiting(), 1);
}

TEST_F(JobQueueTest, EncodesOnlySoFarAhead) {
  FairScheduler scheduler;
  JobQueue queue(Parts(*store_, scheduler, {.encode_ahead = 2}));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(queue.Submit(SpecOf("a cat"), {}).ok());
  std::vector<ClaimedJob> claimed = {Claim(queue), Claim(queue)};
  std::atomic<bool> third = false;
  std::jthread waits([&] {
    if (queue.ClaimToEncode(EncodeLane::kAny)) third = true;
  });
  queue.Advance(claimed[0].job, kReady);
  queue.HandOver(claimed[0], std::make_shared<const JobInputs>());
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(third) << "one is encoded, one is ready";
  EXPECT_EQ(queue.ClaimToRender()->job.id, claimed[0].job.id);
  waits.join();
  EXPECT_TRUE(third);
}

TEST_F(JobQueueTest, GivesOutTogetherWhatIsReadyAndFitsTheOldestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back(Submit(i == 1 ? "other" : "ada"));
    ClaimUntil(kReady);
  }
  const auto same_client = [](const Job& a, const Job& b) { return a.spec.client == b.spec.client; };
  const auto claim = [&](int64_t most) {
    std::vector<std::string> claimed;
    for (const ClaimedJob& each : queue_->ClaimToRender(most, same_client)) {
      EXPECT_TRUE(each.inputs);
      claimed.push_back(each.job.id);
    }
    return claimed;
  };
  EXPECT_EQ(claim(3), (std::vector<std::string>{ids[0], ids[2], ids[3]}));
  EXPECT_EQ(claim(3), (std::vector<std::string>{ids[1]})) << "its turn was before the others'";
  EXPECT_EQ(claim(1), (std::vector<std::string>{ids[4]}));
  EXPECT_EQ(claim(3), (std::vector<std::string>{ids[5]})) << "nobody waits for more";
  EXPECT_EQ(queue_->census().Count(kReady), 6) << "who claimed them says when it begins";
  queue_->Stop();
  EXPECT_TRUE(claim(3).empty());
}

TEST_F(JobQueueTest, GivesOutAloneWhatWasBegunBefore) {
  const std::string begun = Submit();
  ClaimUntil(kReady);
  Open();  // the daemon ended, and this job is not to blame
  EXPECT_EQ(store_->Get(begun)->crashes.count, 0);
  const std::string fresh = Submit(), another = Submit();
  for (int i = 0; i < 3; ++i) ClaimUntil(kReady);
  const auto all = [](const Job&, const Job&) { return true; };
  EXPECT_EQ(queue_->ClaimToRender(3, all).size(), 1u);
  EXPECT_EQ(queue_->ClaimToRender(3, all).size(), 2u);
}

TEST_F(JobQueueTest, CountsThePaintersTimeOnceForThoseWhoArePaintedTogether) {
  for (int i = 0; i < 4; ++i) {
    Submit();
    ClaimUntil(kReady);
  }
  std::vector<ClaimedJob> batch = queue_->ClaimToRender(4, [](const Job&, const Job&) { return true; });
  ASSERT_EQ(batch.size(), 4u);
  const std::string waiting = queue_->Submit(SpecOf("a cat"), {}, /*stored=*/true)->id;
  const auto wait_ms = [&] { return queue_->PlaceOf(waiting)->wait_ms; };
  const auto end = [&](ClaimedJob& claimed) {
    for (const JobState next : {kRendering, kDecoding, kDone}) queue_->Advance(claimed.job, next);
    queue_->Release(claimed.job.id);
  };
  clock_.steady_ms = clock_.steady_ms + 4000;  // 1000 for each
  ASSERT_TRUE(queue_->Cancel(batch[3].job.id).ok());
  queue_->Release(batch[3].job.id);
  clock_.steady_ms = clock_.steady_ms + 6000;  // 2000 for each of three
  end(batch[0]);
  EXPECT_EQ(wait_ms(), 0) << "a picture takes 3000, which the two others have had";
  clock_.steady_ms = clock_.steady_ms + 1000;  // 500 for each of two
  end(batch[1]);
  // The mean is a fifth of the way from 3000 to 3500; the last has had 3500, too.
  const std::string next = queue_->Submit(SpecOf("a cat"), {}, /*stored=*/true)->id;
  EXPECT_EQ(queue_->PlaceOf(next)->jobs_ahead, 2);
  EXPECT_NEAR(*queue_->PlaceOf(next)->wait_ms, 3100, 1e-6) << "one waits before it";
  end(batch[2]);
  EXPECT_NEAR(*wait_ms(), 0, 1e-6);
  EXPECT_NEAR(*queue_->PlaceOf(next)->wait_ms, 3100 + 0.2 * 400, 1e-6);
}

TEST_F(JobQueueTest, LetsAStoredJobPassThoseThatWaitForAnEncoder) {
  FairScheduler scheduler;
  JobQueue queue(Parts(*store_, scheduler, {.encode_ahead = 1}));
  ASSERT_TRUE(queue.Submit(SpecOf("new"), {}).ok());
  ASSERT_TRUE(queue.Submit(SpecOf("new"), {}).ok());
  const std::string stored = queue.Submit(SpecOf("known"), {}, true)->id;
  const ClaimedJob stuck = Claim(queue);
  const ClaimedJob passed = *queue.ClaimToEncode(EncodeLane::kStored);
  EXPECT_EQ(passed.job.id, stored);
  EXPECT_EQ(queue.NotStored().size(), 1u);
  queue.MarkStored(queue.NotStored().front());
  EXPECT_EQ(queue.NotStored().size(), 0u);
}

TEST_F(JobQueueTest, ALongEncodeOfOneClientHoldsUpNoOtherClient) {
  FairScheduler scheduler;
  JobQueue queue(Parts(*store_, scheduler, {.encode_ahead = 1, .encode_lanes = 1}));
  const auto submit = [&](const std::string& client) { return queue.Submit(SpecOf("words", client), {})->id; };
  submit("ada");
  submit("ada");
  const ClaimedJob stuck = Claim(queue);
  const std::string other = submit("bob");
  std::atomic<bool> passed = false;
  ClaimedJob claimed;
  std::jthread lane([&] {
    claimed = *queue.ClaimToEncode(EncodeLane::kOther);
    passed = true;
  });
  std::this_thread::sleep_for(milliseconds(150));  // it looks now and then
  EXPECT_FALSE(passed) << "the one before is not long";
  clock_.steady_ms = clock_.steady_ms + 1000;
  lane.join();
  EXPECT_EQ(claimed.job.id, other) << "not the second of the client whose first is long";
  queue.Stop();
}

// Else a prompt that ends the daemon would be blamed on whatever is painted beside it.
TEST_F(JobQueueTest, WorksOnASuspectAloneUntilItGotFurther) {
  const std::string suspect = Submit();
  Submit();
  ClaimUntil(kEncoding);
  Open();  // ended while it encoded
  EXPECT_EQ(store_->Get(suspect)->crashes.count, 1);
  ClaimedJob claimed = Claim();
  EXPECT_EQ(claimed.job.id, suspect);
  std::atomic<bool> second = false;
  std::jthread waits([&] {
    if (queue_->ClaimToEncode(EncodeLane::kAny)) second = true;
  });
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(second);
  queue_->Advance(claimed.job, kReady);
  queue_->HandOver(claimed, std::make_shared<const JobInputs>());
  claimed = *queue_->ClaimToRender();
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(second) << "it is not yet further than it was";
  queue_->Advance(claimed.job, kRendering);
  waits.join();
  EXPECT_TRUE(second);
}

TEST_F(JobQueueTest, HandsBackWhatIsInWorkWithoutItsWorkers) {
  const std::string painted = Submit(), ready = Submit(), encoding = Submit(), waiting = Submit();
  ClaimedJob claimed = ClaimUntil(kRendering);
  ClaimUntil(kReady);
  ClaimUntil(kEncoding);
  queue_->Stop();
  queue_->HandBackAll();
  for (const std::string& id : {painted, ready, encoding, waiting}) EXPECT_EQ(store_->Get(id)->state, kQueued);
  EXPECT_TRUE(ErrorOf([&] { queue_->Advance(claimed.job, kDecoding); }).has_value()) << "its worker comes too late";
  Open();
  for (const std::string& id : {painted, ready, encoding}) {
    EXPECT_EQ(store_->Get(id)->crashes.count, 0) << "an orderly end is no crash";
  }
}

TEST_F(JobQueueTest, StoresAtOnceWhatAJobWaitsFor) {
  const std::string id = Submit();
  ClaimedJob claimed = Claim();
  claimed.job.detail = "no encoder answers";
  queue_->Report(claimed.job);
  queue_.reset();  // by now it is written, if not a moment after the report
  EXPECT_EQ(store_->Get(id)->detail, "no encoder answers") << "a daemon that ends now does not blame the job";
}

TEST_F(JobQueueTest, NeverExceedsItsLimitWhenManySubmitAtOnce) {
  Open(5);
  std::atomic<int> accepted = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5; ++i) accepted += queue_->Submit(SpecOf("a cat"), {}).ok() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(accepted, 5);
  EXPECT_EQ(queue_->waiting(), 5);
}

TEST_F(JobQueueTest, GivesTheOldestJobOfTheClientWhoseTurnItIs) {
  const std::vector<std::string> ids = {Submit("ada"), Submit("ada"), Submit("bob")};
  std::vector<std::string> claimed;
  for (int i = 0; i < 3; ++i) claimed.push_back(Claim().job.id);
  EXPECT_EQ(claimed, (std::vector{ids[0], ids[2], ids[1]}));
}

TEST_F(JobQueueTest, BeginsAnAttemptWithTheClaim) {
  const std::string id = Submit();
  clock_.unix_ms += 250;
  const ClaimedJob claimed = Claim();
  EXPECT_EQ(claimed.job.id, id);
  EXPECT_EQ(claimed.job.state, kEncoding);
  EXPECT_EQ(claimed.job.attempt, 1);
  EXPECT_EQ(claimed.job.timings.queue_ms, 250);
  EXPECT_EQ(store_->Get(id)->state, kEncoding);
  EXPECT_EQ(store_->Get(id)->attempt, 1);
}

TEST_F(JobQueueTest, CountsNoEarlierAttemptAsWaiting) {
  Submit();
  clock_.Pass(250);
  const ClaimedJob claimed = ClaimUntil(kRendering);
  clock_.Pass(60'000);
  Open();  // the daemon has died meanwhile
  EXPECT_EQ(Claim().job.timings.queue_ms, 250);
}

TEST_F(JobQueueTest, ForetellsTheWaitBySizeAndSteps) {
  const auto submit = [&](int32_t side, int32_t steps) {
    JobSpec spec = SpecOf("a cat");
    spec.width = spec.height = side;
    spec.steps = steps;
    return queue_->Submit(spec, {})->id;
  };
  submit(128, 8);
  ClaimedJob painted = Claim();
  painted.job.timings.encode_ms = 1;
  queue_->Advance(painted.job, kReady);
  queue_->HandOver(painted, nullptr);
  painted = *queue_->ClaimToRender();
  queue_->Advance(painted.job, kRendering);
  queue_->Advance(painted.job, kDecoding);
  clock_.Pass(1000);
  queue_->Advance(painted.job, kDone);
  queue_->Release(painted.job.id);
  submit(256, 8);   // four times the pixels
  submit(128, 18);  // twice the evaluations, the decoder counted as two
  EXPECT_EQ(queue_->PlaceOf(submit(128, 8))->wait_ms, 6000.0);
}

TEST_F(JobQueueTest, CountsTheWaitForTheRenderer) {
  Submit();
  clock_.Pass(250);
  ClaimedJob encoded = Claim();
  queue_->Advance(encoded.job, kReady);
  queue_->HandOver(encoded, nullptr);
  clock_.Pass(400);
  EXPECT_EQ(queue_->ClaimToRender()->job.timings.queue_ms, 650);
}

TEST_F(JobQueueTest, MeasuresNoNegativeWaitWhenTheClockIsSetBack) {
  Submit();
  clock_.unix_ms -= 3'600'000;
  EXPECT_EQ(Claim().job.timings.queue_ms, 0);
}

TEST_F(JobQueueTest, BlocksAClaimUntilAJobComes) {
  auto claim = std::async(std::launch::async, [&] { return Claim().job.id; });
  EXPECT_EQ(claim.wait_for(milliseconds(20)), std::future_status::timeout);
  const std::string id = Submit();
  EXPECT_EQ(claim.get(), id);
}

TEST_F(JobQueueTest, EndsAClaimWhenStopped) {
  auto claim = std::async(std::launch::async, [&] { return queue_->ClaimToEncode(EncodeLane::kAny).has_value(); });
  queue_->Stop();
  EXPECT_FALSE(claim.get());
  EXPECT_TRUE(absl::IsUnavailable(queue_->Submit(SpecOf("a cat"), {}).status()));
}

TEST_F(JobQueueTest, TakesOverWhatAnEarlierLifeLeft) {
  const std::string under_way = Submit();
  const std::string waiting = Submit();
  ClaimUntil(kRendering);
  Open();
  EXPECT_EQ(queue_->waiting(), 2);
  const ClaimedJob again = ClaimUntil(kDone);
  EXPECT_EQ(again.job.id, under_way);
  EXPECT_EQ(again.job.attempt, 2);
  queue_->Release(under_way);
  EXPECT_EQ(Claim().job.id, waiting);
}

TEST_F(JobQueueTest, KnowsNoJobByAStrangeName) {
  const std::string unknown = "01ARYZ6S410000000000000000";
  for (const std::string& id : {unknown, std::string(), std::string("../x"), std::string(100'000, 'A')}) {
    EXPECT_TRUE(absl::IsNotFound(queue_->Get(id).status()));
    EXPECT_TRUE(absl::IsNotFound(queue_->Cancel(id).status()));
    EXPECT_TRUE(absl::IsNotFound(queue_->Watch(id).status()));
    EXPECT_LT(queue_->Get(id).status().message().size(), 200u);
  }
  EXPECT_TRUE(absl::IsInvalidArgument(queue_->List({.limit = 2000}).status()));
}

TEST_F(JobQueueTest, MakesAJobWaitAgainThatItsWorkerHandsBack) {
  const std::string id = Submit();
  const auto watch = *queue_->Watch(id);
  ClaimedJob claimed = ClaimUntil(kRendering);
  queue_->Advance(claimed.job, kQueued);
  Job job;
  watch->Next(kNow, &job);
  EXPECT_EQ(job.state, kQueued);
  EXPECT_EQ(queue_->running(), 0);
  EXPECT_EQ(Claim().job.id, id);
}

}  // namespace
}  // namespace diptych
