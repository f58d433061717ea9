#include "render_node/jobs/sqlite_job_store.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/sqlite_database.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"
#include "tests/unit/render_node/jobs/job_store_fixture.h"

namespace diptych {
namespace {

using enum JobState;

TEST_F(SqliteJobStoreTest, GivesAnAcceptedJobBackAfterReopening) {
  JobSpec spec = SpecOf("a cat", "ada", 3);
  spec.negative = PromptOf("dogs");
  const std::string id = store_->Accept(spec, {}, kNow).id;
  Reopen();
  const std::optional<Job> job = store_->Get(id);
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->id, id);
  EXPECT_EQ(job->state, kQueued);
  EXPECT_EQ(job->spec, spec);
  EXPECT_EQ(job->accepted_unix_ms, kNow);
  EXPECT_EQ(job->attempt, 0);
  EXPECT_EQ(store_->Queued(), (std::vector<QueuedJob>{{.id = id,
                                                       .client = "ada",
                                                       .priority = 3,
                                                       .work = WorkOf(spec),
                                                       .encode_work = EncodeWorkOf(spec),
                                                       .bytes = static_cast<int64_t>(SpecToJson(spec).size())}}));
}

TEST_F(SqliteJobStoreTest, LosesNothingWhenTheDaemonIsKilled) {
  Close();
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Open();
    const std::string id = store_->Accept(SpecOf("a cat"), {std::string(64, 'd')}, kNow).id;
    store_->Transition({id}, kQueued, kEncoding, {});
    [[maybe_unused]] const ssize_t written = ::write(pipe_ends[1], id.data(), id.size());
    ::raise(SIGKILL);
  }
  char id[kJobIdLength];
  ASSERT_EQ(::read(pipe_ends[0], id, sizeof(id)), static_cast<ssize_t>(sizeof(id)));
  int how = 0;
  ::waitpid(child, &how, 0);
  EXPECT_TRUE(WIFSIGNALED(how));
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  Open();
  const std::string name(id, sizeof(id));
  ASSERT_TRUE(store_->Get(name).has_value());
  EXPECT_EQ(store_->Get(name)->state, kEncoding);
  EXPECT_EQ(store_->Rows(name).positive, std::string(64, 'd'));
}

TEST_F(SqliteJobStoreTest, PerformsEveryLegalTransitionAndRefusesEveryOther) {
  for (const JobState from : kJobStates) {
    for (const JobState to : kJobStates) {
      const std::string id = JobIn(from);
      const auto error = ErrorOf([&] { store_->Transition({id}, from, to, {}); });
      EXPECT_EQ(!error.has_value(), IsLegal(from, to)) << JobStateName(from) << " -> " << JobStateName(to);
      EXPECT_EQ(store_->Get(id)->state, IsLegal(from, to) ? to : from);
      if (error) {
        EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
      }
    }
  }
}

TEST_F(SqliteJobStoreTest, RefusesATransitionFromAStateThatTheJobIsNotIn) {
  const std::string id = JobIn(kRendering);
  const auto error = ErrorOf([&] { store_->Transition({id}, kEncoding, kReady, {}); });
  EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(std::string(error->what()), "job " + id + " is rendering, not encoding");
  EXPECT_EQ(store_->Get(id)->state, kRendering);
  EXPECT_EQ(ErrorOf([&] { store_->Transition({"unknown"}, kEncoding, kReady, {}); })->code(), ErrorCode::kNotFound);
}

TEST_F(SqliteJobStoreTest, KeepsProgressErrorAndTimings) {
  const std::string id = JobIn(kRendering);
  JobProgress progress;
  progress.step = 2;
  progress.timings.step_ms = {1.5, 2.5};
  progress.fits.prompt = PromptFit{1600, 1504};
  progress.detail = "a detail";
  store_->SaveProgress({id}, kRendering, progress);
  progress.error = "out of memory";
  progress.error_code = "RESOURCE_EXHAUSTED";
  progress.finished_unix_ms = kNow + 5;
  Reopen();
  EXPECT_EQ(store_->Get(id)->step, 2);
  EXPECT_EQ(store_->Get(id)->timings, progress.timings);
  EXPECT_EQ(store_->Get(id)->detail, "a detail");
  EXPECT_EQ(store_->Get(id)->error, "");
  store_->Transition({id}, kRendering, kFailed, progress);
  Reopen();
  const Job job = *store_->Get(id);
  EXPECT_EQ(job.error, "out of memory");
  EXPECT_EQ(job.error_code, "RESOURCE_EXHAUSTED");
  EXPECT_EQ(job.finished_unix_ms, kNow + 5);
}

TEST_F(SqliteJobStoreTest, SavesNoProgressForAJobThatHasMovedOn) {
  const std::string id = JobIn(kCancelled);
  JobProgress progress;
  progress.step = 2;
  store_->SaveProgress({id}, kRendering, progress);
  EXPECT_EQ(store_->Get(id)->step, 0);
}

TEST_F(SqliteJobStoreTest, CountsAnAttemptWhenWorkBegins) {
  const std::string id = JobIn(kEncoding);
  EXPECT_EQ(store_->Get(id)->attempt, 1);
  store_->Transition({id}, kEncoding, kQueued, {});
  EXPECT_EQ(store_->Get(id)->attempt, 1);
  store_->Transition({id}, kQueued, kEncoding, {});
  EXPECT_EQ(store_->Get(id)->attempt, 2);
}

TEST_F(SqliteJobStoreTest, NamesTheJobsUnderWay) {
  std::map<JobState, std::string> ids;
  for (const JobState state : kJobStates) ids[state] = JobIn(state);
  Reopen();
  std::vector<std::string> under_way;
  for (const Job& job : store_->UnderWay()) under_way.push_back(job.id);
  EXPECT_EQ(under_way, (std::vector{ids[kEncoding], ids[kReady], ids[kRendering], ids[kDecoding]}));
}

TEST_F(SqliteJobStoreTest, FindsTheJobOfAKeyByWhatItAsksForNotByItsText) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "k1";
  const std::string id = store_->Accept(spec, {}, kNow).id;
  Close();
  // As a version before wrote it, which named no layer, or one after it, with a member more.
  SqliteDatabase(DatabasePath())
      .Execute("UPDATE job SET spec = replace(spec, '\"layer\":-2', '\"later\":0') WHERE id = '" + id + "'");
  Reopen();
  const AcceptedJob again = store_->Accept(spec, {}, kNow);
  EXPECT_EQ(again.id, id);
  EXPECT_FALSE(again.is_new);
}

TEST_F(SqliteJobStoreTest, GivesARepeatedSubmissionItsFirstJob) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "k1";
  const AcceptedJob first = store_->Accept(spec, {}, kNow);
  EXPECT_TRUE(first.is_new);
  Reopen();
  const AcceptedJob again = store_->Accept(spec, {}, kNow + 9);
  EXPECT_EQ(again.id, first.id);
  EXPECT_FALSE(again.is_new);
  JobSpec of_another = spec;
  of_another.client = "bob";
  EXPECT_TRUE(store_->Accept(of_another, {}, kNow).is_new) << "a key is a client's own";
  spec.idempotency_key.clear();
  EXPECT_TRUE(store_->Accept(spec, {}, kNow).is_new);
  EXPECT_TRUE(store_->Accept(spec, {}, kNow).is_new) << "no key, no claim to be the same";
  EXPECT_EQ(store_->Queued().size(), 4u);
}

TEST_F(SqliteJobStoreTest, RefusesAKeyThatNamesAnotherJob) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.idempotency_key = "k1";
  const std::string id = store_->Accept(spec, {}, kNow).id;
  JobSpec other = spec;
  other.seed += 1;
  for (const auto& error : {ErrorOf([&] { store_->Accept(other, {}, kNow); }),
                            ErrorOf([&] { store_->Accept(spec, {std::string(64, 'd')}, kNow); })}) {
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
    EXPECT_TRUE(Says(error->what(), "\"k1\" was used for job " + id)) << error->what();
  }
  EXPECT_EQ(store_->Queued().size(), 1u);
}

TEST_F(SqliteJobStoreTest, RefusesWhatAnEarlierAttemptDoes) {
  const std::string id = JobIn(kEncoding);  // attempt 1
  store_->Transition({id, 1}, kEncoding, kQueued, {});
  store_->Transition({id, 1}, kQueued, kEncoding, {});  // attempt 2
  store_->Transition({id, 2}, kEncoding, kReady, {});
  const auto error = ErrorOf([&] { store_->Transition({id, 1}, kReady, kRendering, {}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Says(error->what(), "is in attempt 2, not 1")) << error->what();
  JobProgress progress;
  progress.step = 2;
  store_->SaveProgress({id, 1}, kReady, progress);
  EXPECT_EQ(store_->Get(id)->step, 0);
  store_->SaveProgress({id, 2}, kReady, progress);
  EXPECT_EQ(store_->Get(id)->step, 2);
}

TEST_F(SqliteJobStoreTest, KeepsWhatALaterLifeNeeds) {
  JobSpec spec = SpecOf("a cat", "ada");
  spec.timeout_ms = 5000;
  const std::string id = store_->Accept(spec, {}, kNow).id;
  JobProgress progress;
  progress.crashes = {2, 4};
  progress.sequence = 77;
  store_->Transition({id}, kQueued, kEncoding, progress);
  store_->Transition({id}, kEncoding, kQueued, progress);
  Reopen();
  EXPECT_EQ(store_->Queued(), (std::vector<QueuedJob>{{.id = id,
                                                       .client = "ada",
                                                       .deadline_unix_ms = kNow + 5000,
                                                       .begun = true,
                                                       .suspect = true,
                                                       .work = WorkOf(spec),
                                                       .encode_work = EncodeWorkOf(spec),
                                                       .bytes = static_cast<int64_t>(SpecToJson(spec).size())}}));
  EXPECT_EQ(store_->Get(id)->crashes, (JobCrashes{2, 4}));
  EXPECT_EQ(store_->Get(id)->sequence, 77);
  EXPECT_EQ(store_->Get(id)->spec.timeout_ms, 5000);
}

TEST_F(SqliteJobStoreTest, DeletesOnlyWhatHasEnded) {
  for (const JobState state : kJobStates) {
    const std::string id = JobIn(state);
    const auto error = ErrorOf([&] { EXPECT_TRUE(store_->Delete(id)); });
    EXPECT_EQ(error.has_value(), !IsTerminal(state)) << JobStateName(state);
    EXPECT_EQ(store_->Get(id).has_value(), !IsTerminal(state)) << JobStateName(state);
    if (error) {
      EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
    }
  }
  EXPECT_FALSE(store_->Delete("01ARYZ6S410000000000000000"));
}

TEST_F(SqliteJobStoreTest, KnowsWhichFilesAJobStillNeeds) {
  const std::string positive(64, 'a'), negative(64, 'b');
  const std::string id = store_->Accept(SpecOf("a cat"), {positive, negative}, kNow).id;
  JobProgress progress;
  progress.picture = std::string(64, 'd');
  progress.finished_unix_ms = kNow + 5;
  const std::vector<std::string> names = {positive, negative, progress.picture, "stranger", ""};
  for (const auto& [from, to] : {std::pair(kQueued, kEncoding), std::pair(kEncoding, kReady),
                                 std::pair(kReady, kRendering), std::pair(kRendering, kDecoding)}) {
    store_->Transition({id}, from, to, {});
    EXPECT_EQ(store_->Unreferenced(names), (std::vector<std::string>{progress.picture, "stranger", ""}));
  }
  const JobRows rows = store_->Transition({id}, kDecoding, kDone, progress);
  EXPECT_EQ(rows.positive, positive);
  EXPECT_EQ(rows.negative, negative);
  EXPECT_EQ(store_->Unreferenced(names), (std::vector<std::string>{positive, negative, "stranger", ""}))
      << "rows that were uploaded are for the painter alone";
  store_->Delete(id);
  EXPECT_EQ(store_->Unreferenced(names), names);
}

TEST_F(SqliteJobStoreTest, FindsJobsByTheirWordsAndTheirTime) {
  const std::string cat = store_->Accept(SpecOf("A Cat on a mat"), {}, kNow).id;
  const std::string dog = store_->Accept(SpecOf("a dog"), {}, kNow + 1000).id;
  const auto ids = [&](const JobFilter& filter) {
    std::vector<std::string> found;
    for (const Job& job : store_->List(filter)) found.push_back(job.id);
    return found;
  };
  EXPECT_EQ(ids({.text = "a cAT"}), (std::vector{cat}));
  EXPECT_EQ(ids({.text = "a"}), (std::vector{dog, cat}));
  EXPECT_EQ(ids({.text = "%"}), std::vector<std::string>());
  EXPECT_EQ(ids({.accepted_from_ms = kNow + 1000}), (std::vector{dog}));
  EXPECT_EQ(ids({.accepted_before_ms = kNow + 1000}), (std::vector{cat}));
}

TEST_F(SqliteJobStoreTest, ListsShortenedPromptsAndGivesTheWholeOnesByName) {
  JobSpec spec = SpecOf(std::string(kShownPromptBytes - 1, 'a') + "\xC3\xA9" + std::string(1'000'000, 'b'), "ada");
  spec.negative = PromptOf("dogs");
  spec.negative->system = std::string(2 * kShownPromptBytes, 'c');
  spec.idempotency_key = "k1";
  const std::string id = store_->Accept(spec, {}, kNow).id;
  const std::string brief = store_->Accept(SpecOf("a cat"), {}, kNow).id;
  Reopen();
  EXPECT_EQ(store_->Get(id)->spec, spec);
  EXPECT_FALSE(store_->Get(id)->prompts_shortened);
  EXPECT_EQ(store_->Accept(spec, {}, kNow).id, id) << "the same specification, whatever the row holds of it";
  JobSpec other = spec;
  other.prompt->user += "b";
  EXPECT_EQ(ErrorOf([&] { store_->Accept(other, {}, kNow); })->code(), ErrorCode::kFailedPrecondition);
  const std::vector<Job> jobs = store_->List({});
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, brief);
  EXPECT_FALSE(jobs[0].prompts_shortened);
  EXPECT_TRUE(jobs[1].prompts_shortened);
  EXPECT_EQ(jobs[1].spec.prompt->user, std::string(kShownPromptBytes - 1, 'a')) << "no half character";
  EXPECT_EQ(jobs[1].spec.negative->user, "dogs");
  EXPECT_EQ(jobs[1].spec.negative->system, std::string(kShownPromptBytes - 4, 'c'));
}

TEST_F(SqliteJobStoreTest, KeepsNoLongPromptsOfWhatEndsWithoutAPicture) {
  const JobSpec spec = SpecOf(std::string(100'000, 'a'));
  for (const JobState state : {kFailed, kCancelled, kDone}) {
    JobSpec own = spec;
    own.idempotency_key = std::string(JobStateName(state));
    const std::string id = store_->Accept(own, {}, kNow).id;
    JobProgress progress;
    progress.finished_unix_ms = kNow + 5;
    if (state == kDone) {
      for (const auto& [from, to] : {std::pair(kQueued, kEncoding), std::pair(kEncoding, kReady),
                                     std::pair(kReady, kRendering), std::pair(kRendering, kDecoding)}) {
        store_->Transition({id}, from, to, {});
      }
    }
    store_->Transition({id}, state == kDone ? kDecoding : kQueued, state, progress);
    const Job job = *store_->Get(id);
    EXPECT_EQ(job.prompts_shortened, state != kDone);
    EXPECT_EQ(job.spec.prompt->user.size(), state == kDone ? 100'000u : kShownPromptBytes);
    EXPECT_EQ(store_->Accept(own, {}, kNow).id, id) << "its key is known all the same";
    EXPECT_LT(store_->Ended()[0].spec_bytes, state == kDone ? 101'000 : 5'000);
    store_->Delete(id);
  }
  Close();
  EXPECT_EQ(SqliteDatabase(DatabasePath()).Integer("SELECT count(*) FROM long_spec"), 0);
}

// Uploads come and go with jobs that end and begin, all of the same rows: none may lose them.
TEST_F(SqliteJobStoreTest, EndsAPageByItsBytesAndReadsNoMoreThanThat) {
  const JobSpec spec = SpecOf(std::string(1'000'000, 'a'));
  for (int i = 0; i < 60; ++i) store_->Accept(spec, {}, kNow);
  const auto begin = std::chrono::steady_clock::now();
  JobFilter filter{.limit = 1000, .bytes = 50'000};
  size_t seen = 0;
  for (;;) {
    const std::vector<Job> jobs = store_->List(filter);
    if (jobs.empty()) break;
    EXPECT_LE(jobs.size(), 50'000 / kShownPromptBytes);
    seen += jobs.size();
    filter.before_id = jobs.back().id;
  }
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  std::printf("60 jobs of 1 MB listed in %.1f ms\n", ms);
  EXPECT_EQ(seen, 60u);
  EXPECT_LT(ms, 1000) << "was 30 s";
}

TEST_F(SqliteJobStoreTest, FindsWordsBehindANulAndInLongPrompts) {
  const std::string nul = store_->Accept(SpecOf(std::string("a\0needle", 8)), {}, kNow).id;
  const std::string far = store_->Accept(SpecOf(std::string(100'000, 'x') + "Needle"), {}, kNow).id;
  store_->Accept(SpecOf("hay"), {}, kNow);
  std::vector<std::string> found;
  for (const Job& job : store_->List({.text = "neEdle"})) found.push_back(job.id);
  EXPECT_EQ(found, (std::vector{far, nul}));
  EXPECT_EQ(store_->List({.text = std::string("\0n", 2)}).size(), 1u);
  EXPECT_TRUE(store_->List({.text = "needle"})[0].prompts_shortened);
  store_->Accept(SpecOf("He said \"Ja\\\nno\" \xC3\x84"), {}, kNow);
  for (const char* text : {"said \"ja", "\\", "ja\\\nNO", "\n", "\xC3\x84", "\xC3"}) {
    EXPECT_EQ(store_->List({.text = text}).size(), 1u) << text;
  }
  for (const char* text : {"width", "user\":", "\\n", "\\\""}) {
    EXPECT_EQ(store_->List({.text = text}).size(), 0u) << text << " is how it is stored, and nothing that was said";
  }
}

TEST_F(SqliteJobStoreTest, StopsAListThatNobodyWaitsForAnyMore) {
  CloseWithQueuedJobs(5'000);
  Open();
  int asked = 0;
  const auto error = ErrorOf([&] { store_->List({.text = "not there", .abandoned = [&] { return ++asked == 3; }}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kCancelled);
  EXPECT_EQ(asked, 3) << "asked between two steps of some hundred jobs";
}

TEST_F(SqliteJobStoreTest, ListsTheSameInStepsAsInOneGo) {
  Close();
  SqliteDatabase(DatabasePath())
      .Execute(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
          "INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, error_code, error, "
          "detail, "
          "conditioning, negative_conditioning, spec, timings) SELECT printf('01ARYZ6S41%016d', i), "
          "CASE WHEN i % 1500 = 7 THEN 'failed' WHEN i % 3 = 0 THEN 'done' ELSE 'cancelled' END, 'client' || (i % "
          "700), 0, 0, "
          "0, i, 0, '', '', '', '', '', '{\"long_prompt_mode\":\"pool\"}', '{}' FROM n");
  Open();
  const auto count = [&](JobFilter filter) {
    filter.limit = 700;
    size_t all = 0;
    std::string last = "~";
    for (;;) {
      const std::vector<Job> jobs = store_->List(filter);
      if (jobs.empty()) return all;
      for (const Job& job : jobs) {
        EXPECT_LT(job.id, last);
        last = job.id;
        ++all;
      }
      filter.before_id = last;
    }
  };
  EXPECT_EQ(count({}), 3000u);
  EXPECT_EQ(count({.states = {kFailed}}), 2u);
  EXPECT_EQ(count({.states = {kFailed, kDone}}), 1002u);
  EXPECT_EQ(count({.states = {kFailed, kDone, kCancelled, kQueued}}), 3000u);
  EXPECT_EQ(count({.states = {kDone}, .client = "client3"}), 2u);
  EXPECT_EQ(count({.client = "client0"}), 4u);
  EXPECT_EQ(count({.states = {kCancelled}, .accepted_from_ms = 101, .accepted_before_ms = 104}), 2u);
}

// Each piece from where the last one ended: a sort of all for each would take minutes.
TEST_F(SqliteJobStoreTest, ReadsAHundredThousandEndedJobsInPieces) {
  Close();
  SqliteDatabase(DatabasePath())
      .Execute(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
          "INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, error_code, error, "
          "detail, conditioning, negative_conditioning, spec, timings) SELECT printf('01ARYZ6S41%016d', i), "
          "CASE WHEN i % 3 = 0 THEN 'done' ELSE 'cancelled' END, '', 0, 0, 0, i, 1 + i / 3, '', '', '', '', '', '{}', "
          "'{}' "
          "FROM n");
  Open();
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<EndedJob> jobs = store_->Ended();
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  std::printf("100000 ended jobs read in %.1f ms\n", ms);
  ASSERT_EQ(jobs.size(), 100'000u);
  EXPECT_EQ(jobs.front().id, "01ARYZ6S410000000000100000");
  EXPECT_EQ(jobs.back().id, "01ARYZ6S410000000000000001");
  EXPECT_LT(ms, 3000);
}

TEST_F(SqliteJobStoreTest, HasHopeForADiskThatRefusesWhateverTheReason) {
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit limit{1, old_limit.rlim_max};  // as a quota: the error is another than that of a full disk
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const std::optional<Error> error = ErrorOf([&] { store_->Accept(SpecOf("a cat"), {}, kNow); });
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kUnavailable) << error->what();
  store_->Accept(SpecOf("a cat"), {}, kNow);
}

TEST_F(SqliteJobStoreTest, MakesIdsThatGrowAlsoWhenTheClockIsSetBackBetweenTwoLives) {
  std::string last;
  for (const int64_t now : {kNow, kNow, kNow - 3'600'000, kNow + 1}) {
    const std::string id = store_->Accept(SpecOf("a cat"), {}, now).id;
    EXPECT_LT(last, id);
    last = id;
    Reopen();
  }
}

TEST_F(SqliteJobStoreTest, ListsNewestFirstPageByPage) {
  std::vector<std::string> ids;
  for (int i = 0; i < 7; ++i) ids.insert(ids.begin(), store_->Accept(SpecOf("a cat"), {}, kNow + i).id);
  std::vector<std::string> seen;
  JobFilter filter{3, "", {}, ""};
  for (size_t page : {3, 3, 1, 0}) {
    const std::vector<Job> jobs = store_->List(filter);
    EXPECT_EQ(jobs.size(), page);
    for (const Job& job : jobs) seen.push_back(job.id);
    if (!jobs.empty()) filter.before_id = jobs.back().id;
    store_->Accept(SpecOf("newer"), {}, kNow + 100);  // does not shift the pages that follow
  }
  EXPECT_EQ(seen, ids);
}

TEST_F(SqliteJobStoreTest, ListsByThePartOfAnId) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(store_->Accept(SpecOf("a cat"), {}, kNow + i).id);
  const auto list = [&](const std::string& part) { return store_->List({.id_part = part}); };
  for (const std::string& id : ids) {
    for (const std::string& part : {id, id.substr(id.size() - 8), id.substr(0, 25)}) {
      const std::vector<Job> found = list(part);
      ASSERT_GE(found.size(), 1u) << part;
      EXPECT_EQ(std::count_if(found.begin(), found.end(), [&](const Job& job) { return job.id == id; }), 1) << part;
    }
  }
  EXPECT_EQ(list(ids[0]).size(), 1u);
  EXPECT_EQ(list(ids[0].substr(0, 1)).size(), 3u) << "the time of acceptance begins it";
  EXPECT_EQ(list("%").size(), 0u) << "a part and no pattern";
  EXPECT_EQ(ErrorOf([&] { list(ids[0] + "0"); })->code(), ErrorCode::kInvalidArgument);
}

TEST_F(SqliteJobStoreTest, ListsByStateAndClient) {
  const std::string done = JobIn(kDone);
  const std::string failed = JobIn(kFailed);
  const std::string adas = store_->Accept(SpecOf("a cat", "ada"), {}, kNow + 1).id;
  const auto list = [&](std::set<JobState> states, const std::string& client) {
    std::vector<std::string> ids;
    for (const Job& job : store_->List({0, "", std::move(states), client})) ids.push_back(job.id);
    return ids;
  };
  EXPECT_EQ(list({}, ""), (std::vector{adas, failed, done}));
  EXPECT_EQ(list({kDone, kFailed}, ""), (std::vector{failed, done}));
  EXPECT_EQ(list({}, "ada"), (std::vector{adas}));
  EXPECT_EQ(list({kDone}, "ada"), std::vector<std::string>());
}

TEST_F(SqliteJobStoreTest, LimitsAPage) {
  CloseWithQueuedJobs(101);
  Open();
  EXPECT_EQ(store_->List({}).size(), 100u);
  EXPECT_EQ(store_->List({1000, "", {}, ""}).size(), 101u);
  for (const int32_t limit : {-1, 1001}) {
    const auto error = ErrorOf([&] { store_->List({limit, "", {}, ""}); });
    EXPECT_EQ(error->code(), ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(ErrorOf([&] { store_->List({0, "%", {}, ""}); })->code(), ErrorCode::kInvalidArgument);
}

TEST_F(SqliteJobStoreTest, AcceptsFromManyThreads) {
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([this] {
        for (int i = 0; i < 5; ++i) {
          const std::string id = store_->Accept(SpecOf("a cat"), {}, kNow).id;
          store_->Transition({id}, kQueued, kEncoding, {});
          store_->List({});
        }
      });
    }
  }
  EXPECT_EQ(CountByState(*store_), (std::map<JobState, int64_t>{{kEncoding, 20}}));
}

TEST_F(SqliteJobStoreTest, ReadsTenThousandQueuedJobsInOneGo) {
  CloseWithQueuedJobs(10'000);
  Open();
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<QueuedJob> jobs = store_->Queued();
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  std::printf("10000 queued jobs read in %.1f ms\n", ms);
  ASSERT_EQ(jobs.size(), 10'000u);
  EXPECT_EQ(jobs.front().id, "01ARYZ6S410000000000000001");
  EXPECT_EQ(jobs.back().id, "01ARYZ6S410000000000010000");
  EXPECT_LT(ms, 1000);
}

}  // namespace
}  // namespace diptych
