// A job store whose files are damaged, foreign or of another version.
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/sqlite_database.h"
#include "render_node/jobs/sqlite_schema.h"
#include "tests/unit/render_node/jobs/job_fixtures.h"
#include "tests/unit/render_node/jobs/job_store_fixture.h"

namespace diptych {
namespace {

using enum JobState;

// As the versions of these stores wrote one; without a layer, which nobody had chosen.
constexpr char kOldSpec[] =
    R"({"cfg_normalization":0.0,"cfg_truncation":1.0,"client":"","guidance_scale":0.0,"height":1024,)"
    R"("long_prompt_mode":"pool","priority":0,"seed":0,"steps":9,"width":1024})";

class DamagedJobStoreTest : public SqliteJobStoreTest {};

TEST_F(DamagedJobStoreTest, BringsAStoreOfVersion2UpToDate) {
  Close();
  std::filesystem::remove_all(DatabasePath().parent_path());
  folder_ = std::make_unique<StateFolder>(DatabasePath().parent_path());
  {
    SqliteDatabase old(DatabasePath());
    Migrate(old, JobStoreMigrations().first(2));
    old.Execute(
        "INSERT INTO job SELECT '01ARYZ6S410000000000000001', 'done', 'ada', 0, 1, 3, 5, 6, '', '', '', '', '', "
        "'" +
        std::string(kOldSpec) + "', '{}', '{}'");
  }
  store_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance(1));
  const std::optional<Job> job = store_->Get("01ARYZ6S410000000000000001");
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->picture, job->id) << "its picture was named by its id";
  EXPECT_EQ(job->spec.idempotency_key, "");
  EXPECT_GT(job->sequence, 0) << "0 tells a watcher that there is no state yet";
}

// The version before hosts were known and long prompts had a table of their own.
TEST_F(DamagedJobStoreTest, BringsAStoreOfVersion4UpToDateWithItsLongPrompts) {
  Close();
  std::filesystem::remove_all(DatabasePath().parent_path());
  folder_ = std::make_unique<StateFolder>(DatabasePath().parent_path());
  JobSpec brief = SpecOf("a cat", "ada"), lengthy = SpecOf(std::string(100'000, 'a'), "bob");
  lengthy.idempotency_key = "k1";
  {
    SqliteDatabase old(DatabasePath());
    Migrate(old, JobStoreMigrations().first(4));
    SqliteStatement insert(old,
                           "INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, "
                           "error_code, error, detail, conditioning, negative_conditioning, spec, timings, "
                           "idempotency_key) VALUES (?, ?, ?, 0, 0, 0, 5, ?, '', '', '', '', '', ?, '{}', ?)");
    SqliteQuery(insert, "01ARYZ6S410000000000000001", "queued", "ada", int64_t{0}, SpecToJson(brief), "").Run();
    SqliteQuery(insert, "01ARYZ6S410000000000000002", "done", "bob", int64_t{9}, SpecToJson(lengthy), "k1").Run();
    SqliteQuery(insert, "01ARYZ6S410000000000000003", "queued", "eve", int64_t{0}, "{damaged", "").Run();
  }
  store_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance(1));
  EXPECT_EQ(store_->Get("01ARYZ6S410000000000000001")->spec, brief);
  EXPECT_EQ(store_->Get("01ARYZ6S410000000000000002")->spec, lengthy);
  EXPECT_EQ(store_->Accept(lengthy, {}, kNow).id, "01ARYZ6S410000000000000002");
  const std::vector<Job> jobs = store_->List({});
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[1].spec.prompt->user.size(), kShownPromptBytes);
  const std::vector<QueuedJob> queued = store_->Queued();
  ASSERT_EQ(queued.size(), 2u);
  EXPECT_EQ(queued[0].work, WorkOf(brief));
  EXPECT_EQ(queued[0].encode_work, EncodeWorkOf(brief));
  EXPECT_EQ(queued[0].host, "");
  EXPECT_EQ(store_->Ended().size(), 1u);
}

TEST_F(DamagedJobStoreTest, RefusesAStoreOfANewerVersionAndNamesBoth) {
  Close();
  const int64_t newest = static_cast<int64_t>(JobStoreMigrations().size());
  SqliteDatabase(DatabasePath()).Execute("PRAGMA user_version = " + std::to_string(newest + 1));
  const auto error = ErrorOf([&] { Open(); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Says(error->what(), "has version " + std::to_string(newest + 1))) << error->what();
  EXPECT_TRUE(Says(error->what(), "versions up to " + std::to_string(newest))) << error->what();
}

TEST_F(DamagedJobStoreTest, RefusesADatabaseOfSomebodyElse) {
  Close();
  std::filesystem::remove(DatabasePath());
  SqliteDatabase(DatabasePath()).Execute("CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x')");
  const auto error = ErrorOf([&] { Open(); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kDataLoss);
  EXPECT_TRUE(Says(error->what(), "not a job store of Diptych")) << error->what();
  EXPECT_EQ(SqliteDatabase(DatabasePath()).Integer("SELECT count(*) FROM bookmarks"), 1);
}

TEST_F(DamagedJobStoreTest, SaysThatAFileIsNoDatabase) {
  Close();
  std::ofstream(DatabasePath(), std::ios::trunc) << std::string(8192, '?');
  const auto error = ErrorOf([&] { Open(); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kDataLoss);
  EXPECT_TRUE(Says(error->what(), "file is not a database")) << error->what();
}

TEST_F(DamagedJobStoreTest, SaysThatATruncatedDatabaseIsDamaged) {
  CloseWithQueuedJobs(200);
  std::filesystem::resize_file(DatabasePath(), std::filesystem::file_size(DatabasePath()) / 2);
  const auto error = ErrorOf([&] { Open(); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kDataLoss);
  EXPECT_TRUE(Says(error->what(), "malformed")) << error->what();
}

TEST_F(DamagedJobStoreTest, SaysThatADatabaseWithAnOverwrittenPageIsDamaged) {
  CloseWithQueuedJobs(200);
  const auto size = std::filesystem::file_size(DatabasePath());
  std::fstream file(DatabasePath(), std::ios::in | std::ios::out | std::ios::binary);
  for (uintmax_t page = 4096; page < size; page += 4096) {
    file.seekp(static_cast<std::streamoff>(page));
    file << std::string(64, '\xFF');
  }
  file.close();
  EXPECT_EQ(ErrorOf([&] { Open(); })->code(), ErrorCode::kDataLoss);
}

TEST_F(DamagedJobStoreTest, ListsTheOtherJobsBesideADamagedOne) {
  const std::string good = store_->Accept(SpecOf("a cat"), {}, kNow).id;
  const std::string bad = store_->Accept(SpecOf("a dog"), {}, kNow + 1).id;
  Close();
  SqliteDatabase(DatabasePath()).Execute("UPDATE job SET spec = '{' WHERE id = '" + bad + "'");
  Open();
  const auto error = ErrorOf([&] { store_->Get(bad); });
  EXPECT_EQ(error->code(), ErrorCode::kDataLoss);
  EXPECT_TRUE(Says(error->what(), bad));
  const std::vector<Job> jobs = store_->List({});
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, bad);
  EXPECT_TRUE(Says(jobs[0].detail, "damaged"));
  EXPECT_EQ(jobs[1].spec, SpecOf("a cat"));
}

TEST_F(DamagedJobStoreTest, ListsAndForgetsAJobWhoseStateIsDamaged) {
  const std::string good = store_->Accept(SpecOf("a cat"), {}, kNow).id;
  const std::string bad = store_->Accept(SpecOf("a dog"), {}, kNow + 1).id;
  SqliteDatabase(DatabasePath()).Execute("UPDATE job SET state = 'quezed' WHERE id = '" + bad + "'");
  const std::vector<Job> jobs = store_->List({});
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].state, kFailed);
  EXPECT_TRUE(Says(jobs[0].detail, "quezed")) << jobs[0].detail;
  EXPECT_TRUE(store_->Delete(bad));
  EXPECT_EQ(store_->List({}).size(), 1u);
}

TEST_F(DamagedJobStoreTest, AJobWhoseStateIsDamagedHasFailedAtTheNextStart) {
  const std::string bad = store_->Accept(SpecOf("a dog"), {}, kNow).id;
  Close();
  SqliteDatabase(DatabasePath()).Execute("UPDATE job SET state = 'quezed'");
  Open();
  const Job job = *store_->Get(bad);
  EXPECT_EQ(job.state, kFailed);
  EXPECT_EQ(job.error, "its stored state \"quezed\" cannot be read");
  EXPECT_EQ(job.error_code, "DATA_LOSS");
  EXPECT_EQ(store_->Ended().size(), 1u);
}

// The kernel says once that it could not write, and then forgets what it did not write.
TEST_F(DamagedJobStoreTest, BelievesNoSyncOfTheLogAfterOneThatFailed) {
  Close();
  folder_ = std::make_unique<StateFolder>(temporary_.path() / "state");
  int syncs = 0;
  store_ = std::make_unique<SqliteJobStore>(*folder_, RepeatableChance(++lives_),
                                            [&](const FileDescriptor& fd, const std::filesystem::path& path) {
                                              if (++syncs == 1)
                                                throw Error(ErrorCode::kUnavailable, "cannot write " + path.string());
                                              SyncFile(fd, path);
                                            });
  const std::string id = store_->Accept(SpecOf("a cat"), {}, kNow).id;
  EXPECT_TRUE(ErrorOf([&] { store_->Sync(); }).has_value());
  const auto in_database_alone = [&] {
    const std::filesystem::path copy = temporary_.path() / "copy.sqlite";
    std::filesystem::copy_file(DatabasePath(), copy, std::filesystem::copy_options::overwrite_existing);
    SqliteDatabase database(copy);
    return database.Integer("SELECT count(*) FROM sqlite_master") > 0 ? database.Text("SELECT max(id) FROM job") : "";
  };
  EXPECT_NE(in_database_alone(), id);
  store_->Sync();
  EXPECT_EQ(in_database_alone(), id);
  EXPECT_EQ(syncs, 1) << "the log was not asked again";
  store_->Sync();
  EXPECT_EQ(syncs, 2) << "now it is a new one";
}

// SQLite itself reads a log up to the first page that is wrong, and says nothing.
TEST_F(DamagedJobStoreTest, SaysThatItsLogIsDamagedAndKeepsACopy) {
  const std::filesystem::path state = temporary_.path() / "state", killed = temporary_.path() / "killed";
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(store_->Accept(SpecOf("a cat"), {}, kNow + i).id);
  store_->Sync();
  std::filesystem::copy(state, killed, std::filesystem::copy_options::recursive);  // as a killed daemon leaves it
  const std::string log = ReadText(killed / "jobs.sqlite-wal");
  bool with_index = false;
  ASSERT_GT(log.size(), 20u * 4096);
  const auto open_with = [&](const std::string& bytes) {
    std::filesystem::copy(state, killed,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    if (!with_index) std::filesystem::remove(killed / "jobs.sqlite-shm");
    std::ofstream(killed / "jobs.sqlite-wal", std::ios::binary) << bytes;
    const StateFolder folder(killed);
    const SqliteJobStore store(folder, RepeatableChance(99));
    return store.warning();
  };
  const auto flipped = [&](size_t at) {
    std::string bytes = log;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
    return bytes;
  };
  EXPECT_EQ(open_with(log), "");
  EXPECT_EQ(open_with(log.substr(0, log.size() - 100)), "") << "killed in the middle of a change";
  EXPECT_EQ(open_with(flipped(log.size() - 100)), "");
  EXPECT_EQ(open_with(log + log.substr(0, 9000)), "") << "of an earlier use of the file";
  for (const size_t at : {size_t{3}, size_t{17}, size_t{26}, size_t{32 + 9}, size_t{32 + 4120 * 3 + 1000}}) {
    const std::string warning = open_with(flipped(at));
    EXPECT_TRUE(Says(warning, "the job store's log is damaged")) << at << " " << warning;
    EXPECT_EQ(ReadText(killed / "jobs.sqlite-wal.damaged"), flipped(at));
  }
  EXPECT_TRUE(Says(open_with(flipped(32 + 4120 * 3 + 1000)), "behind the first 3 cannot be used"));

  // With the index that a killed daemon leaves beside the log nothing that was committed is missed.
  with_index = true;
  EXPECT_EQ(open_with(log), "");
  EXPECT_EQ(open_with(log + std::string(2000, 'x')), "") << "killed in the middle of a change";
  for (const std::string& bad : {flipped(log.size() - 100), log.substr(0, log.size() / 2), log.substr(0, 10),
                                 std::string(), flipped(17), flipped(32 + 4120 * 3 + 1000)}) {
    EXPECT_TRUE(Says(open_with(bad), "may be missing")) << bad.size();
  }
}

void AddColumn(SqliteDatabase& database) {
  database.Execute("ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'");
}
void AddColumnAndFail(SqliteDatabase& database) {
  AddColumn(database);
  database.Execute("ALTER TABLE no_such_table ADD COLUMN x TEXT");
}

TEST_F(DamagedJobStoreTest, IsMigratedWithItsJobsInOneTransaction) {
  const std::string id = store_->Accept(SpecOf("a cat"), {}, kNow).id;
  Close();
  SqliteDatabase database(DatabasePath());
  const auto known = JobStoreMigrations();
  const auto next = static_cast<int64_t>(known.size()) + 1;

  std::vector<Migration> failing(known.begin(), known.end());
  failing.push_back(AddColumnAndFail);
  EXPECT_THROW(Migrate(database, failing), Error);
  EXPECT_EQ(database.Integer("PRAGMA user_version"), next - 1);
  EXPECT_THROW(database.Integer("SELECT count(colour) FROM job"), Error) << "half a migration stayed";

  std::vector<Migration> newer(known.begin(), known.end());
  newer.push_back(AddColumn);
  Migrate(database, newer);
  EXPECT_EQ(database.Integer("PRAGMA user_version"), next);
  EXPECT_EQ(database.Text("SELECT id FROM job WHERE colour = 'red'"), id);
}

TEST_F(DamagedJobStoreTest, ReadsTheJobsOfVersionOneWithoutTheFitOfTheirPrompts) {
  Close();
  std::filesystem::remove(DatabasePath());
  {
    SqliteDatabase database(DatabasePath());
    Migrate(database, JobStoreMigrations().first(1));
    database.Execute(
        "INSERT INTO job VALUES ('01ARYZ6S410000000000000001', 'done', '', 0, 1, 3, 0, 0, '', '', '', '', '', "
        "'" +
        std::string(kOldSpec) + "', '{}')");
  }
  Open();
  const std::optional<Job> job = store_->Get("01ARYZ6S410000000000000001");
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->step, 3);
  EXPECT_EQ(job->fits, PromptFits());
}

}  // namespace
}  // namespace diptych
