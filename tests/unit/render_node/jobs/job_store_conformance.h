// What every job store does, whatever it keeps the jobs in: the contract of job_store.h as tests. A store passes when
// JobStoreConformance, instantiated with a way to make a database of it, passes; two handles are open on each, as two
// daemons would have it open.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/job_store.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"

namespace diptych {

// Empty at first; gone with the object.
class JobStoreDatabase {
 public:
  virtual ~JobStoreDatabase() = default;
  // A handle more; all are closed before the object is gone.
  virtual std::unique_ptr<JobStore> Open() = 0;
};

struct JobStoreKind {
  std::string name;
  std::function<std::unique_ptr<JobStoreDatabase>()> make;
};

class JobStoreConformance : public testing::TestWithParam<JobStoreKind> {
 protected:
  static constexpr int64_t kStart = 1'700'000'000'000;
  static constexpr int64_t kLease = 1000;

  JobStoreConformance() : database_(GetParam().make()), store_(database_->Open()), other_(database_->Open()) {}

  std::string Accept(const JobSpec& spec = SpecOf("a cat"), const JobRows& rows = {}, int64_t now = kStart) {
    return store_->Accept(spec, rows, now).id;
  }
  std::string JobIn(JobState state) {
    const std::string id = Accept();
    MoveTo(*store_, id, state);
    return id;
  }
  // As somebody else sees it.
  Job Seen(const std::string& id) { return *other_->Get(id); }
  std::vector<std::string> Listed(const JobFilter& filter) {
    std::vector<std::string> ids;
    for (const Job& job : other_->List(filter)) ids.push_back(job.id);
    return ids;
  }
  static std::vector<std::string> IdsOf(const std::vector<Job>& jobs) {
    std::vector<std::string> ids;
    for (const Job& job : jobs) ids.push_back(job.id);
    return ids;
  }
  static ErrorCode CodeOf(const std::function<void()>& work) {
    const std::optional<Error> error = ErrorOf(work);
    EXPECT_TRUE(error.has_value());
    return error ? error->code() : ErrorCode::kInternal;
  }

  const std::unique_ptr<JobStoreDatabase> database_;
  const std::unique_ptr<JobStore> store_, other_;
};

using enum JobState;

TEST_P(JobStoreConformance, ShowsAnAcceptedJobToAll) {
  JobSpec spec = SpecOf("a cat", "ada", 3);
  spec.negative = PromptOf("dogs");
  spec.timeout_ms = 5000;
  const std::string id = store_->Accept(spec, {"", "", 48}, kStart, "10.0.0.7").id;
  const Job job = Seen(id);
  EXPECT_EQ(job.id, id);
  EXPECT_EQ(job.state, kQueued);
  EXPECT_EQ(job.spec, spec);
  EXPECT_EQ(job.accepted_unix_ms, kStart);
  EXPECT_EQ(job.deadline_unix_ms, kStart + 5000);
  EXPECT_EQ(job.attempt, 0);
  EXPECT_GT(job.sequence, 0) << "0 tells a watcher that there is no state yet";
  EXPECT_EQ(other_->Queued(), (std::vector<QueuedJob>{{.id = id,
                                                       .client = "ada",
                                                       .priority = 3,
                                                       .deadline_unix_ms = kStart + 5000,
                                                       .work = WorkOf(spec),
                                                       .encode_work = EncodeWorkOf(spec),
                                                       .host = "10.0.0.7",
                                                       .bytes = static_cast<int64_t>(SpecToJson(spec).size()) + 48}}));
  EXPECT_FALSE(other_->Get("01ARYZ6S410000000000000000").has_value());
}

// --- Claims, leases, attempts.

TEST_P(JobStoreConformance, BeginsAnAttemptWithAClaim) {
  const std::string id = Accept();
  const std::optional<Job> claimed = store_->Claim(id, kOwner, kStart + 70, kLease);
  ASSERT_TRUE(claimed.has_value());
  for (const Job& job : {*claimed, Seen(id)}) {
    EXPECT_EQ(job.id, id);
    EXPECT_EQ(job.state, kEncoding);
    EXPECT_EQ(job.attempt, 1);
    EXPECT_EQ(job.timings.queue_ms, 70);
    EXPECT_EQ(job.sequence, (kStart + 70) * 1000);
    EXPECT_EQ(job.spec, SpecOf("a cat"));
  }
  EXPECT_TRUE(other_->Queued().empty());
}

TEST_P(JobStoreConformance, GivesNobodyAJobThatDoesNotWait) {
  for (const JobState state : kJobStates) {
    const std::string id = JobIn(state);
    EXPECT_EQ(other_->Claim(id, kOtherOwner, kStart, kLease).has_value(), state == kQueued) << JobStateName(state);
    EXPECT_EQ(Seen(id).state, state == kQueued ? kEncoding : state);
  }
  EXPECT_FALSE(store_->Claim("01ARYZ6S410000000000000000", kOwner, kStart, kLease).has_value());
}

TEST_P(JobStoreConformance, GivesNoJobToTwoOwners) {
  constexpr int kJobs = 60;
  std::vector<std::string> ids;
  for (int i = 0; i < kJobs; ++i) ids.push_back(Accept());
  std::mutex mutex;
  std::map<std::string, int> claims;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        JobStore& store = t % 2 == 0 ? *store_ : *other_;
        for (const QueuedJob& job : store.Queued()) {
          if (!store.Claim(job.id, t % 2 == 0 ? kOwner : kOtherOwner, kStart, kLease)) continue;
          const std::lock_guard lock(mutex);
          ++claims[job.id];
        }
      });
    }
  }
  EXPECT_EQ(claims.size(), size_t{kJobs});
  for (const auto& [id, count] : claims) EXPECT_EQ(count, 1);
  for (const std::string& id : ids) EXPECT_EQ(Seen(id).attempt, 1);
  EXPECT_EQ(store_->Renew(kOwner, kStart, kLease) + store_->Renew(kOtherOwner, kStart, kLease), kJobs);
}

TEST_P(JobStoreConformance, CountsEachAttempt) {
  const std::string id = JobIn(kEncoding);
  store_->Transition({id, 1}, kEncoding, kQueued, {});
  EXPECT_EQ(Seen(id).attempt, 1);
  EXPECT_TRUE(other_->Queued().front().begun);
  EXPECT_EQ(other_->Claim(id, kOtherOwner, kStart, kLease)->attempt, 2);
}

TEST_P(JobStoreConformance, LeavesAJobToItsOwnerAsLongAsItsLeaseHolds) {
  const std::string id = Accept();
  store_->Claim(id, kOwner, kStart, kLease);
  EXPECT_TRUE(other_->TakeOver(kOtherOwner, kStart + kLease - 1, kLease).empty());
  EXPECT_EQ(store_->Renew(kOwner, kStart + 500, kLease), 1);
  EXPECT_TRUE(other_->TakeOver(kOtherOwner, kStart + kLease + 499, kLease).empty());
  EXPECT_EQ(IdsOf(other_->TakeOver(kOtherOwner, kStart + kLease + 500, kLease)), (std::vector{id}));
}

TEST_P(JobStoreConformance, GivesTheWorkOfADeadOwnerToAnotherAndRefusesTheLateOne) {
  const std::string id = Accept();
  store_->Claim(id, kOwner, kStart, kLease);
  store_->Transition({id, 1}, kEncoding, kReady, {});
  const std::vector<Job> taken = other_->TakeOver(kOtherOwner, kStart + kLease, kLease);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].state, kReady);
  EXPECT_EQ(taken[0].attempt, 1);
  EXPECT_EQ(store_->Renew(kOwner, kStart + kLease, kLease), 0) << "which tells it";
  EXPECT_TRUE(store_->TakeOver(kOwner, kStart + kLease, kLease).empty()) << "nor does it get the job back";
  other_->Transition({id, 1}, kReady, kQueued, {});
  EXPECT_EQ(other_->Claim(id, kOtherOwner, kStart + kLease, kLease)->attempt, 2);
  other_->Transition({id, 2}, kEncoding, kReady, {});
  // The first one wakes up.
  EXPECT_EQ(CodeOf([&] { store_->Transition({id, 1}, kReady, kRendering, {}); }), ErrorCode::kFailedPrecondition);
  JobProgress progress;
  progress.step = 2;
  store_->SaveProgress({id, 1}, kReady, progress);
  EXPECT_EQ(Seen(id).step, 0);
  EXPECT_EQ(Seen(id).state, kReady);
  other_->Transition({id, 2}, kReady, kRendering, {});
}

TEST_P(JobStoreConformance, GivesTheWorkOfAnEarlierLifeToTheNextAtOnce) {
  std::map<JobState, std::string> ids;
  for (const JobState state : kJobStates) ids[state] = JobIn(state);  // claimed by kOwner
  const std::string others = Accept();
  store_->Claim(others, kOtherOwner, kStart, kLease);
  EXPECT_TRUE(store_->TakeOver(kOwner, kStart, kLease).empty()) << "this very life has them";
  const LeaseOwner next_life{kOwner.name, "life 2"};
  const std::vector<std::string> under_way = {ids[kEncoding], ids[kReady], ids[kRendering], ids[kDecoding]};
  EXPECT_EQ(IdsOf(other_->TakeOver(next_life, kStart, kLease)), under_way);
  EXPECT_TRUE(other_->TakeOver(next_life, kStart, kLease).empty());
  EXPECT_EQ(store_->Renew(kOwner, kStart, kLease), 0);
  EXPECT_EQ(store_->Renew(kOtherOwner, kStart, kLease), 1);
}

TEST_P(JobStoreConformance, HoldsNothingForAnOwnerThatLetGo) {
  const std::string waits = JobIn(kEncoding), done = JobIn(kDone);
  store_->Transition({waits, 1}, kEncoding, kQueued, {});
  EXPECT_EQ(store_->Renew(kOwner, kStart, kLease), 0);
  EXPECT_TRUE(other_->TakeOver(kOtherOwner, kStart + 10 * kLease, kLease).empty());
}

TEST_P(JobStoreConformance, RefusesWhatAnEarlierAttemptDoes) {
  const std::string id = JobIn(kEncoding);  // attempt 1
  store_->Transition({id, 1}, kEncoding, kQueued, {});
  store_->Claim(id, kOwner, kStart, kLease);  // attempt 2, of the same owner
  store_->Transition({id, 2}, kEncoding, kReady, {});
  const auto error = ErrorOf([&] { store_->Transition({id, 1}, kReady, kRendering, {}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Says(error->what(), "in attempt 2")) << error->what();
  JobProgress progress;
  progress.step = 2;
  store_->SaveProgress({id, 1}, kReady, progress);
  EXPECT_EQ(Seen(id).step, 0);
  store_->SaveProgress({id, 2}, kReady, progress);
  EXPECT_EQ(Seen(id).step, 2);
}

// --- States and progress.

TEST_P(JobStoreConformance, PerformsEveryLegalTransitionAndRefusesEveryOther) {
  for (const JobState from : kJobStates) {
    for (const JobState to : kJobStates) {
      const std::string id = JobIn(from);
      const bool is_legal = IsLegal(from, to) && to != kEncoding;  // that is Claim's
      const auto error = ErrorOf([&] { store_->Transition({id}, from, to, {}); });
      EXPECT_EQ(!error.has_value(), is_legal) << JobStateName(from) << " -> " << JobStateName(to);
      EXPECT_EQ(Seen(id).state, is_legal ? to : from);
      if (error) {
        EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
      }
    }
  }
}

TEST_P(JobStoreConformance, RefusesATransitionFromAStateThatTheJobIsNotIn) {
  const std::string id = JobIn(kRendering);
  const auto error = ErrorOf([&] { store_->Transition({id}, kEncoding, kReady, {}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Says(error->what(), "job " + id + " is rendering")) << error->what();
  EXPECT_EQ(Seen(id).state, kRendering);
  EXPECT_EQ(CodeOf([&] { store_->Transition({"unknown"}, kEncoding, kReady, {}); }), ErrorCode::kNotFound);
}

TEST_P(JobStoreConformance, KeepsProgressErrorAndTimings) {
  const std::string id = JobIn(kRendering);
  JobProgress progress;
  progress.step = 2;
  progress.timings.step_ms = {1.5, 2.5};
  progress.fits.prompt = PromptFit{1600, 1504};
  progress.detail = "a detail";
  progress.sequence = 77;
  store_->SaveProgress({id}, kRendering, progress);
  EXPECT_EQ(Seen(id).step, 2);
  EXPECT_EQ(Seen(id).timings, progress.timings);
  EXPECT_EQ(Seen(id).fits, progress.fits);
  EXPECT_EQ(Seen(id).detail, "a detail");
  EXPECT_EQ(Seen(id).sequence, 77);
  EXPECT_EQ(Seen(id).error, "");
  progress.error = "out of memory";
  progress.error_code = "RESOURCE_EXHAUSTED";
  progress.finished_unix_ms = kStart + 5;
  progress.crashes = {2, 4};
  store_->Transition({id}, kRendering, kFailed, progress);
  EXPECT_EQ(Seen(id).error, "out of memory");
  EXPECT_EQ(Seen(id).error_code, "RESOURCE_EXHAUSTED");
  EXPECT_EQ(Seen(id).finished_unix_ms, kStart + 5);
  EXPECT_EQ(Seen(id).crashes, (JobCrashes{2, 4}));
}

TEST_P(JobStoreConformance, SavesNoProgressForAJobThatHasMovedOn) {
  const std::string id = JobIn(kDecoding);
  JobProgress progress;
  progress.step = 2;
  store_->SaveProgress({id}, kRendering, progress);
  EXPECT_EQ(Seen(id).step, 0);
  store_->SaveProgress({"unknown"}, kRendering, progress);
}

TEST_P(JobStoreConformance, KeepsWhatALaterLifeNeeds) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.timeout_ms = 5000;
  const std::string id = Accept(spec);
  JobProgress progress;
  progress.crashes = {2, 4};
  store_->Claim(id, kOwner, kStart, kLease);
  store_->Transition({id}, kEncoding, kQueued, progress);
  const std::vector<QueuedJob> queued = other_->Queued();
  ASSERT_EQ(queued.size(), 1u);
  EXPECT_TRUE(queued[0].begun);
  EXPECT_TRUE(queued[0].suspect);
  EXPECT_EQ(queued[0].deadline_unix_ms, kStart + 5000);
  EXPECT_EQ(Seen(id).crashes, (JobCrashes{2, 4}));
}

TEST_P(JobStoreConformance, RemembersWhoPausedTheQueue) {
  EXPECT_FALSE(other_->LoadPause().has_value());
  store_->SavePause(QueuePause{"ada", kStart});
  store_->SavePause(QueuePause{"bob", kStart + 1});
  EXPECT_EQ(other_->LoadPause(), (QueuePause{"bob", kStart + 1}));
  other_->SavePause(std::nullopt);
  EXPECT_FALSE(store_->LoadPause().has_value());
}

// --- Idempotency keys.

TEST_P(JobStoreConformance, GivesARepeatedSubmissionItsFirstJob) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "k1";
  EXPECT_FALSE(store_->FindAccepted(spec, {}).has_value());
  const AcceptedJob first = store_->Accept(spec, {}, kStart);
  EXPECT_TRUE(first.is_new);
  EXPECT_EQ(other_->FindAccepted(spec, {}), first.id);
  const AcceptedJob again = other_->Accept(spec, {}, kStart + 9);
  EXPECT_EQ(again.id, first.id);
  EXPECT_FALSE(again.is_new);
  JobSpec of_another = spec;
  of_another.client = "bob";
  EXPECT_TRUE(store_->Accept(of_another, {}, kStart).is_new) << "a key is a client's own";
  spec.idempotency_key.clear();
  EXPECT_TRUE(store_->Accept(spec, {}, kStart).is_new);
  EXPECT_TRUE(store_->Accept(spec, {}, kStart).is_new) << "no key, no claim to be the same";
  EXPECT_EQ(store_->Queued().size(), 4u);
}

TEST_P(JobStoreConformance, RefusesAKeyThatNamesAnotherJob) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "k1";
  const std::string id = Accept(spec);
  JobSpec other = spec;
  other.seed += 1;
  for (const auto& error : {ErrorOf([&] { other_->Accept(other, {}, kStart); }),
                            ErrorOf([&] { other_->Accept(spec, {std::string(64, 'd')}, kStart); })}) {
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
    EXPECT_TRUE(Says(error->what(), "was used for job " + id)) << error->what();
  }
  EXPECT_EQ(store_->Queued().size(), 1u);
}

TEST_P(JobStoreConformance, ForgetsTheKeyOfAJobThatIsForgotten) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "k1";
  const std::string id = Accept(spec);
  store_->Transition({id}, kQueued, kCancelled, {});
  EXPECT_EQ(Accept(spec), id);
  store_->Delete(id);
  EXPECT_NE(Accept(spec), id);
}

// --- The end of a job, and what it needed.

TEST_P(JobStoreConformance, DeletesOnlyWhatHasEnded) {
  for (const JobState state : kJobStates) {
    const std::string id = JobIn(state);
    const auto error = ErrorOf([&] { EXPECT_TRUE(store_->Delete(id)); });
    EXPECT_EQ(error.has_value(), !IsTerminal(state)) << JobStateName(state);
    EXPECT_EQ(other_->Get(id).has_value(), !IsTerminal(state)) << JobStateName(state);
    if (error) {
      EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
    }
  }
  EXPECT_FALSE(store_->Delete("01ARYZ6S410000000000000000"));
}

TEST_P(JobStoreConformance, KnowsWhichFilesAJobStillNeeds) {
  const std::string positive(64, 'a'), negative(64, 'b'), source(64, 'e'), mask(64, 'f');
  JobSpec spec = SpecOf("a cat");
  spec.source.hex = source;
  spec.mask.hex = mask;
  const std::string id = Accept(spec, {positive, negative, 48});
  EXPECT_EQ(other_->Rows(id).positive, positive);
  EXPECT_EQ(other_->Rows(id).negative, negative);
  EXPECT_EQ(other_->Rows(id).bytes, 48);
  EXPECT_EQ(CodeOf([&] { other_->Rows("unknown"); }), ErrorCode::kNotFound);
  JobProgress progress;
  progress.picture = std::string(64, 'd');
  progress.picture_bytes = 7;
  progress.finished_unix_ms = kStart + 5;
  const std::vector<std::string> names = {positive, negative, source, mask, progress.picture, "stranger", ""};
  store_->Claim(id, kOwner, kStart, kLease);
  for (const auto& [from, to] :
       {std::pair(kEncoding, kReady), std::pair(kReady, kRendering), std::pair(kRendering, kDecoding)}) {
    EXPECT_EQ(store_->Transition({id}, from, to, {}).positive, "");
    EXPECT_EQ(other_->Unreferenced(names), (std::vector<std::string>{progress.picture, "stranger", ""}));
  }
  const JobRows rows = store_->Transition({id}, kDecoding, kDone, progress);
  EXPECT_EQ(rows.positive, positive);
  EXPECT_EQ(rows.negative, negative);
  EXPECT_EQ(other_->Unreferenced(names), (std::vector<std::string>{positive, negative, source, mask, "stranger", ""}))
      << "what was uploaded is for the painter alone";
  EXPECT_EQ(Seen(id).picture, progress.picture);
  store_->Delete(id);
  EXPECT_EQ(other_->Unreferenced(names), names);
}

TEST_P(JobStoreConformance, NeedsAnInputForAsLongAsAnyUnfinishedJobNamesIt) {
  const std::string source(64, 'e');
  JobSpec spec = SpecOf("a cat");
  spec.source.hex = spec.mask.hex = source;  // one file in both roles
  JobProgress progress;
  progress.finished_unix_ms = kStart + 5;
  const std::string first = Accept(spec), second = Accept(spec);
  store_->Transition({first}, kQueued, kFailed, progress);
  EXPECT_TRUE(other_->Unreferenced({source}).empty());
  store_->Transition({second}, kQueued, kCancelled, progress);
  EXPECT_EQ(other_->Unreferenced({source}).size(), 1u);
  EXPECT_EQ(Seen(first).spec, spec) << "which it was can still be told";
}

TEST_P(JobStoreConformance, NamesWhatHasEndedNewestEndFirst) {
  std::vector<std::string> ids;
  for (const int64_t ended : {30, 10, 20}) {
    JobProgress progress;
    progress.finished_unix_ms = kStart + ended;
    progress.picture_bytes = ended;
    ids.push_back(store_->Accept(SpecOf("a cat"), {}, kStart, "10.0.0.7").id);
    MoveTo(*store_, ids.back(), kDecoding);
    store_->Transition({ids.back()}, kDecoding, kDone, progress);
  }
  JobIn(kRendering);
  const std::vector<EndedJob> ended = other_->Ended();
  ASSERT_EQ(ended.size(), 3u);
  EXPECT_EQ(ended[0].id, ids[0]);
  EXPECT_EQ(ended[1].id, ids[2]);
  EXPECT_EQ(ended[2].id, ids[1]);
  EXPECT_EQ(ended[2].finished_unix_ms, kStart + 10);
  EXPECT_EQ(ended[2].picture_bytes, 10);
  EXPECT_EQ(ended[2].host, "10.0.0.7");
  EXPECT_GT(ended[2].spec_bytes, 0);
}

TEST_P(JobStoreConformance, KeepsNoLongPromptsOfWhatEndsWithoutAPicture) {
  const JobSpec spec = SpecOf(std::string(100'000, 'a'));
  for (const JobState state : {kFailed, kCancelled, kDone}) {
    JobSpec own = spec;
    own.idempotency_key = std::string(JobStateName(state));
    const std::string id = Accept(own);
    JobProgress progress;
    progress.finished_unix_ms = kStart + 5;
    MoveTo(*store_, id, state, progress);
    const Job job = Seen(id);
    EXPECT_EQ(job.prompts_shortened, state != kDone);
    EXPECT_EQ(job.spec.prompt->user.size(), state == kDone ? 100'000u : kShownPromptBytes);
    EXPECT_EQ(Accept(own), id) << "its key is known all the same";
    EXPECT_LT(other_->Ended()[0].spec_bytes, state == kDone ? 101'000 : 5'000);
    store_->Delete(id);
  }
}

// --- Lists.

TEST_P(JobStoreConformance, ListsNewestFirstPageByPage) {
  std::vector<std::string> ids;
  for (int i = 0; i < 7; ++i) ids.insert(ids.begin(), Accept(SpecOf("a cat"), {}, kStart + i));
  std::vector<std::string> seen;
  JobFilter filter{.limit = 3};
  for (size_t page : {3, 3, 1, 0}) {
    const std::vector<std::string> jobs = Listed(filter);
    EXPECT_EQ(jobs.size(), page);
    seen.insert(seen.end(), jobs.begin(), jobs.end());
    if (!jobs.empty()) filter.before_id = jobs.back();
    Accept(SpecOf("newer"), {}, kStart + 100);  // does not shift the pages that follow
  }
  EXPECT_EQ(seen, ids);
}

TEST_P(JobStoreConformance, ListsByThePartOfAnId) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(Accept(SpecOf("a cat"), {}, kStart + i));
  for (const std::string& id : ids) {
    for (const std::string& part : {id, id.substr(id.size() - 8), id.substr(0, 25)}) {
      const std::vector<std::string> found = Listed({.id_part = part});
      EXPECT_EQ(std::count(found.begin(), found.end(), id), 1) << part;
    }
  }
  EXPECT_EQ(Listed({.id_part = ids[0]}).size(), 1u);
  EXPECT_EQ(Listed({.id_part = ids[0].substr(0, 1)}).size(), 3u) << "the time of acceptance begins it";
  EXPECT_EQ(Listed({.id_part = "%"}).size(), 0u) << "a part and no pattern";
  EXPECT_EQ(CodeOf([&] { Listed({.id_part = ids[0] + "0"}); }), ErrorCode::kInvalidArgument);
}

TEST_P(JobStoreConformance, ListsByStateAndClient) {
  const std::string done = JobIn(kDone), failed = JobIn(kFailed);
  const std::string adas = Accept(SpecOf("a cat", "ada"), {}, kStart + 1);
  EXPECT_EQ(Listed({}), (std::vector{adas, failed, done}));
  EXPECT_EQ(Listed({.states = {kDone, kFailed}}), (std::vector{failed, done}));
  EXPECT_EQ(Listed({.client = "ada"}), (std::vector{adas}));
  EXPECT_EQ(Listed({.states = {kDone}, .client = "ada"}), std::vector<std::string>());
}

TEST_P(JobStoreConformance, ListsByWordsAndTime) {
  const std::string cat = Accept(SpecOf("A Cat on a mat"), {}, kStart);
  const std::string dog = Accept(SpecOf("a dog"), {}, kStart + 1000);
  EXPECT_EQ(Listed({.text = "a cAT"}), (std::vector{cat}));
  EXPECT_EQ(Listed({.text = "a"}), (std::vector{dog, cat}));
  EXPECT_EQ(Listed({.text = "%"}), std::vector<std::string>());
  EXPECT_EQ(Listed({.accepted_from_ms = kStart + 1000}), (std::vector{dog}));
  EXPECT_EQ(Listed({.accepted_before_ms = kStart + 1000}), (std::vector{cat}));
}

TEST_P(JobStoreConformance, ListsShortenedPromptsAndGivesTheWholeOnesByName) {
  const JobSpec spec = SpecOf(std::string(kShownPromptBytes - 1, 'a') + "\xC3\xA9" + std::string(100'000, 'b'), "ada");
  const std::string id = Accept(spec);
  EXPECT_EQ(Seen(id).spec, spec);
  EXPECT_FALSE(Seen(id).prompts_shortened);
  const std::vector<Job> jobs = other_->List({});
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_TRUE(jobs[0].prompts_shortened);
  EXPECT_EQ(jobs[0].spec.prompt->user, std::string(kShownPromptBytes - 1, 'a')) << "no half character";
}

TEST_P(JobStoreConformance, RefusesAListThatCannotBe) {
  for (const int32_t limit : {-1, kMaxListLimit + 1}) {
    EXPECT_EQ(CodeOf([&] { Listed({.limit = limit}); }), ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(CodeOf([&] { Listed({.before_id = "%"}); }), ErrorCode::kInvalidArgument);
}

// --- News, and many at once.

TEST_P(JobStoreConformance, TellsOfEveryChangeWhoeverMadeIt) {
  std::mutex mutex;
  std::set<std::string> heard;
  const auto listening = store_->changes().Listen([&](const std::string& id) {
    const std::lock_guard lock(mutex);
    heard.insert(id);
  });
  const auto told_of = [&](const std::string& id) {
    const std::lock_guard lock(mutex);
    return heard.erase(id) + heard.erase("") > 0;
  };
  const std::string id = other_->Accept(SpecOf("a cat"), {}, kStart).id;
  EXPECT_TRUE(told_of(id)) << "came";
  other_->Claim(id, kOtherOwner, kStart, kLease);
  EXPECT_TRUE(told_of(id)) << "was claimed";
  other_->TakeOver(kOwner, kStart + kLease, kLease);
  EXPECT_TRUE(told_of(id)) << "was taken over";
  other_->Transition({id}, kEncoding, kFailed, {});
  EXPECT_TRUE(told_of(id)) << "moved on";
  other_->Delete(id);
  EXPECT_TRUE(told_of(id)) << "was forgotten";
  other_->SavePause(std::nullopt);
  EXPECT_TRUE(told_of(""));
  EXPECT_EQ(heard.size(), 0u) << "and of nothing else";
}

TEST_P(JobStoreConformance, TellsNobodyWhoNoLongerListens) {
  int heard = 0;
  store_->changes().Listen([&](const std::string&) { ++heard; }).reset();
  Accept();
  EXPECT_EQ(heard, 0);
}

TEST_P(JobStoreConformance, WorksForManyThreadsAtOnce) {
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([this, t] {
        JobStore& store = t % 2 == 0 ? *store_ : *other_;
        for (int i = 0; i < 5; ++i) {
          const std::string id = store.Accept(SpecOf("a cat"), {}, kStart).id;
          store.Claim(id, kOwner, kStart, kLease);
          store.Renew(kOwner, kStart, kLease);
          store.Transition({id, 1}, kEncoding, kReady, {});
          store.List({});
          store.Sync();
        }
      });
    }
  }
  EXPECT_EQ(CountByState(*other_), (std::map<JobState, int64_t>{{kReady, 20}}));
}

}  // namespace diptych
