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
    store_->Claim(id, kOwner, kNow, 1000);
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

// Uploads come and go with jobs that end and begin, all of the same rows: none may lose them.
TEST_F(SqliteJobStoreTest, KeepsNothingOfAJobInItsOtherTablesOnceItHasEnded) {
  JobSpec spec = SpecOf(std::string(100'000, 'a'));
  spec.source.hex = std::string(64, 'e');
  for (const JobState state : {kFailed, kDone}) {
    const std::string id = store_->Accept(spec, {}, kNow).id;
    if (state == kDone) MoveTo(*store_, id, kDone);
    if (state == kFailed) store_->Transition({id}, kQueued, kFailed, {});
    const auto count = [&](const std::string& table) {
      return SqliteDatabase(DatabasePath()).Integer("SELECT count(*) FROM " + table);
    };
    EXPECT_EQ(count("job_input"), 0);
    EXPECT_EQ(count("long_spec"), state == kDone ? 1 : 0);
    store_->Delete(id);
    EXPECT_EQ(count("long_spec"), 0);
  }
}

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
