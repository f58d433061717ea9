#include "render_node/jobs/queue_state.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {
namespace {

using enum JobState;

// Jobs move as the store would move them; no store, no threads.
class QueueStateTest : public testing::Test {
 protected:
  void Make(const QueueLimits& limits) {
    scheduler_ = std::make_unique<FairScheduler>();
    state_ = std::make_unique<QueueState>(*scheduler_, clock_, limits);
  }
  QueueStateTest() { Make({.waiting = 100, .encode_ahead = 2}); }

  void Enqueue(const std::string& id, const std::string& client = "", bool stored = false) {
    state_->Enqueue({.id = id, .client = client, .stored = stored});
  }
  std::string Begin(EncodeLane lane = EncodeLane::kAny) {
    const std::optional<QueuedJob> next = state_->Begin(lane);
    if (!next) return "";
    MoveOn(next->id, kEncoding);
    return next->id;
  }
  Job JobIn(const std::string& id, JobState state) {
    Job job;
    job.id = id;
    job.spec = SpecOf(id);
    job.state = state;
    job.attempt = 1;
    job.sequence = ++sequence_;
    return job;
  }
  void MoveOn(const std::string& id, JobState state) { state_->MovedOn(JobIn(id, state)); }
  void MakeReady(const std::string& id) {
    MoveOn(id, kReady);
    state_->HandOver(id, std::make_shared<const JobInputs>());
  }
  std::vector<std::string> TakeReady(int64_t most = 1) {
    std::vector<std::string> ids;
    for (const ClaimedJob& claimed : state_->TakeReady(most, [](const Job&, const Job&) { return true; })) {
      ids.push_back(claimed.job.id);
    }
    return ids;
  }

  FakeClock clock_;
  std::unique_ptr<FairScheduler> scheduler_;
  std::unique_ptr<QueueState> state_;
  int64_t sequence_ = 0;
};

using Ids = std::vector<std::string>;

TEST_F(QueueStateTest, KeepsPlacesForJobsThatAreOnTheirWay) {
  Make({.waiting = 3, .client_waiting = 2});
  state_->Reserve("ada", "", 0);
  Enqueue("1", "ada");
  const auto limit_of = [&](const std::string& client) -> std::string {
    try {
      state_->Reserve(client, "", 0);
    } catch (const QueueFull& full) {
      return full.limit();
    }
    return "";
  };
  EXPECT_EQ(limit_of("ada"), "client");
  EXPECT_EQ(limit_of("bob"), "");
  EXPECT_EQ(limit_of("eve"), "queue");
  state_->GiveBack("ada", "", 0);
  EXPECT_EQ(limit_of("ada"), "");
}

TEST_F(QueueStateTest, SaysOfARefusalThatTheQueueIsPaused) {
  Make({.waiting = 2, .client_waiting = 1});
  Enqueue("1", "ada");
  const auto refusal_of = [&](const std::string& client) -> std::string {
    try {
      state_->Reserve(client, "", 0);
    } catch (const QueueFull& full) {
      return full.what();
    }
    return "";
  };
  EXPECT_EQ(refusal_of("ada").find("paused"), std::string::npos);
  state_->pause = QueuePause{"bob", 1};
  const std::string paused =
      "; nothing goes on: the queue is paused by client \"bob\", and diptych resume ends that; try";
  EXPECT_NE(refusal_of("ada").find(paused), std::string::npos) << refusal_of("ada");
  EXPECT_EQ(refusal_of("eve"), "");
  EXPECT_EQ(refusal_of("cy").find("the queue is full: 2 jobs wait"), 0u) << refusal_of("cy");
  EXPECT_NE(refusal_of("cy").find(paused), std::string::npos) << refusal_of("cy");
}

TEST_F(QueueStateTest, EncodesOnlySoFarAhead) {
  for (const char* id : {"1", "2", "3"}) Enqueue(id);
  EXPECT_EQ(Begin(), "1");
  EXPECT_EQ(Begin(), "2");
  EXPECT_EQ(Begin(), "");
  MakeReady("1");
  EXPECT_EQ(Begin(), "") << "a ready one is ahead, too";
  EXPECT_EQ(TakeReady(), Ids{"1"});
  EXPECT_EQ(Begin(), "3");
  EXPECT_EQ(state_->waiting(), 0);
  EXPECT_EQ(state_->running(), 3);
}

TEST_F(QueueStateTest, BeginsNothingWhilePaused) {
  Enqueue("1");
  state_->pause = QueuePause{"ada", 1};
  EXPECT_EQ(Begin(), "");
  state_->pause.reset();
  Begin();
  MakeReady("1");
  EXPECT_TRUE(state_->MayPaint());
  state_->pause = QueuePause{"ada", 1};
  EXPECT_FALSE(state_->MayPaint());
}

TEST_F(QueueStateTest, PaintsInTheOrderInWhichJobsWereBegun) {
  for (const char* id : {"1", "2"}) {
    Enqueue(id);
    Begin();
  }
  MakeReady("2");
  MakeReady("1");
  EXPECT_EQ(TakeReady(5), (Ids{"1", "2"}));
  EXPECT_EQ(TakeReady(), Ids{});
}

TEST_F(QueueStateTest, PaintsTogetherOnlyJobsInTheirFirstAttempt) {
  Make({.encode_ahead = 3});
  for (const char* id : {"1", "2", "3"}) {
    Enqueue(id);
    Begin();
  }
  Job second = JobIn("2", kReady);
  second.attempt = 2;
  MakeReady("1");
  state_->MovedOn(second);
  state_->HandOver("2", nullptr);
  MakeReady("3");
  EXPECT_EQ(TakeReady(3), (Ids{"1", "3"}));
  EXPECT_EQ(TakeReady(3), Ids{"2"});
}

TEST_F(QueueStateTest, WorksOnASuspectAlone) {
  state_->Enqueue({.id = "1", .client = "", .begun = true, .suspect = true});
  Enqueue("2", "ada");
  Enqueue("3", "bob", /*stored=*/true);
  EXPECT_EQ(Begin(), "1");
  EXPECT_EQ(Begin(), "");
  EXPECT_EQ(Begin(EncodeLane::kStored), "");
  Job waits = JobIn("1", kEncoding);
  waits.detail = "no encoder answers";
  EXPECT_EQ(state_->Reported(waits), true) << "stored at once";
  EXPECT_EQ(Begin(EncodeLane::kStored), "3") << "one that waits for an encoder does nothing meanwhile";
  MakeReady("1");
  EXPECT_EQ(Begin(), "");
  TakeReady();
  Job painted = JobIn("1", kRendering);
  painted.crashes = {1, 0};
  painted.step = 1;
  state_->Reported(painted);  // further than where the daemon ended
  EXPECT_EQ(Begin(), "2");
}

TEST_F(QueueStateTest, LetsAnotherClientPassALongEncodeAndNobodyAShortOne) {
  Make({.encode_ahead = 1});
  Enqueue("1", "ada");
  Enqueue("2", "ada");
  Enqueue("3", "bob");
  EXPECT_FALSE(state_->UntilLongEncode().has_value());
  EXPECT_EQ(Begin(), "1");
  clock_.Pass(100);
  EXPECT_EQ(Begin(EncodeLane::kOther), "");
  EXPECT_EQ(state_->UntilLongEncode(), 200);
  clock_.Pass(200);
  EXPECT_FALSE(state_->UntilLongEncode().has_value()) << "it is";
  EXPECT_EQ(Begin(EncodeLane::kOther), "3");
}

TEST_F(QueueStateTest, SaysWhenProgressIsToBeStored) {
  Enqueue("1");
  Begin();
  clock_.Pass(999);
  EXPECT_EQ(state_->Reported(JobIn("1", kEncoding)), false);
  clock_.Pass(1);
  EXPECT_EQ(state_->Reported(JobIn("1", kEncoding)), true);
  EXPECT_EQ(state_->Reported(JobIn("1", kEncoding)), false);
  EXPECT_EQ(state_->Reported(JobIn("2", kEncoding)), std::nullopt) << "nobody is at work on it";
  state_->Ended(JobIn("1", kCancelled));
  EXPECT_EQ(state_->Reported(JobIn("1", kEncoding)), std::nullopt);
}

TEST_F(QueueStateTest, TellsTheWorkerOfAJobThatSomebodyEnded) {
  for (const char* id : {"1", "2", "3"}) Enqueue(id);
  Begin();
  Begin();
  MakeReady("2");
  const CancelToken token = state_->TokenOf("1");
  const std::optional<CancelToken> same = state_->Ended(JobIn("1", kCancelled));
  ASSERT_TRUE(same.has_value());
  EXPECT_FALSE(token.IsCancelled()) << "that is the caller's to do";
  same->Cancel();
  EXPECT_TRUE(token.IsCancelled());
  state_->Ended(JobIn("2", kCancelled));
  EXPECT_FALSE(state_->Ended(JobIn("3", kCancelled)).has_value()) << "nobody is at work on it";
  EXPECT_FALSE(state_->MayPaint()) << "nobody held the ready one";
  EXPECT_FALSE(state_->Waits("3"));
  EXPECT_EQ(state_->running(), 1) << "the worker lets go of its own";
  EXPECT_FALSE(state_->HandOver("1", nullptr));
  EXPECT_TRUE(state_->IsIdle());
}

TEST_F(QueueStateTest, RemembersAnEndThatCouldNotBeStored) {
  Enqueue("1");
  EXPECT_FALSE(state_->WantEnd(JobIn("1", kFailed)).has_value()) << "no worker would see to it";
  Begin();
  Job wanted = JobIn("1", kFailed);
  wanted.error = "too late";
  const std::optional<CancelToken> token = state_->WantEnd(wanted);
  ASSERT_TRUE(token.has_value());
  token->Cancel();
  EXPECT_TRUE(state_->TokenOf("1").IsCancelled());
  EXPECT_EQ(state_->WantedEnd("1")->error, "too late");
  EXPECT_FALSE(state_->WantedEnd("2").has_value());
}

TEST_F(QueueStateTest, PutsAJobBackThatWaitsAgain) {
  state_->Enqueue({.id = "1", .client = "", .host = "10.0.0.7"});
  Begin();
  MoveOn("1", kQueued);
  EXPECT_TRUE(state_->IsIdle());
  EXPECT_TRUE(state_->Waits("1"));
  EXPECT_EQ(scheduler_->Find("1")->host, "10.0.0.7");
  EXPECT_TRUE(scheduler_->Find("1")->begun);
}

TEST_F(QueueStateTest, KnowsDeadlinesBySteadyTime) {
  state_->Enqueue({.id = "1", .client = "", .deadline_unix_ms = clock_.UnixMs() + 1000});
  clock_.unix_ms += 3'600'000;
  EXPECT_EQ(state_->Overdue(), Ids{});
  clock_.steady_ms = clock_.steady_ms + 1000;
  EXPECT_EQ(state_->Overdue(), Ids{"1"});
  Begin();
  EXPECT_EQ(state_->Overdue(), Ids{"1"}) << "in work, too";
  MoveOn("1", kFailed);
  EXPECT_EQ(state_->Overdue(), Ids{});
}

TEST_F(QueueStateTest, KnowsBetterThanTheStoreWhatIsInWork) {
  Enqueue("1");
  Begin();
  Job stored = JobIn("1", kEncoding), reported = JobIn("1", kEncoding);
  reported.timings.encode_ms = 5;
  state_->Reported(reported);
  EXPECT_EQ(state_->Fresher(stored).timings.encode_ms, 5);
  stored.sequence = reported.sequence + 1;
  EXPECT_EQ(state_->Fresher(stored).timings.encode_ms, 0);
  Job listed = JobIn("1", kEncoding);
  listed.sequence = 0;
  listed.spec = SpecOf("short");
  listed.prompts_shortened = true;
  state_->Freshen(listed);
  EXPECT_EQ(listed.timings.encode_ms, 5);
  EXPECT_EQ(listed.spec, SpecOf("short"));
  EXPECT_TRUE(listed.prompts_shortened);
}

TEST_F(QueueStateTest, CountsWhereTheJobsAre) {
  for (const char* id : {"1", "2", "3"}) Enqueue(id, "ada");
  Begin();
  Begin();
  MakeReady("1");
  TakeReady();
  MoveOn("1", kRendering);
  const QueueCensus census = state_->Census();
  EXPECT_EQ(census.Count(kQueued), 1);
  EXPECT_EQ(census.Count(kEncoding), 1);
  EXPECT_EQ(census.Count(kRendering), 1);
  EXPECT_EQ(census.at_work->id, "1");
  EXPECT_EQ(census.waiting_per_client, std::vector<int64_t>{1});
  EXPECT_EQ(state_->PlaceOf("3")->jobs_ahead, 2);
  EXPECT_FALSE(state_->PlaceOf("1").has_value()) << "it is painted";
}

}  // namespace
}  // namespace diptych
