#include "render_node/jobs/sqlite_job_store.h"

#include <utility>

#include "common/error/error.h"
#include "render_node/jobs/durable_file.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/sqlite_database.h"
#include "render_node/jobs/sqlite_schema.h"

namespace diptych {
namespace {

// Read by ReadFacts and ReadJob in this order.
constexpr char kJobColumns[] =
    "id, state, step, attempt, accepted_ms, finished_ms, error, error_code, detail, spec, timings, fits";

Job ReadFacts(const SqliteQuery& row) {
  Job job;
  job.id = row.Text(0);
  job.state = ParseJobState(row.Text(1));
  job.step = static_cast<int32_t>(row.Integer(2));
  job.attempt = static_cast<int32_t>(row.Integer(3));
  job.accepted_unix_ms = row.Integer(4);
  job.finished_unix_ms = row.Integer(5);
  job.error = row.Text(6);
  job.error_code = row.Text(7);
  job.detail = row.Text(8);
  return job;
}

Job ReadJob(const SqliteQuery& row) {
  Job job = ReadFacts(row);
  try {
    job.spec = SpecFromJson(row.Text(9));
    job.timings = TimingsFromJson(row.Text(10));
    job.fits = FitsFromJson(row.Text(11));
  } catch (const Error& error) {
    throw Error(error.code(), "job " + job.id + ": " + error.what());
  }
  return job;
}

// For lists: one damaged job does not hide the others.
Job ReadJobOrItsError(const SqliteQuery& row) {
  try {
    return ReadJob(row);
  } catch (const Error& error) {
    Job job = ReadFacts(row);
    job.detail = error.what();
    return job;
  }
}

std::string ListSql(const JobFilter& filter) {
  std::string sql = std::string("SELECT ") + kJobColumns + " FROM job WHERE id < ?";
  if (!filter.client.empty()) sql += " AND client = ?";
  // At most as many as there are states, which is what SQLite's limit on variables asks for.
  for (size_t i = 0; i < filter.states.size(); ++i) sql += i == 0 ? " AND state IN (?" : ", ?";
  if (!filter.states.empty()) sql += ")";
  return sql + " ORDER BY id DESC LIMIT ?";
}

[[noreturn]] void Unknown(const std::string& id) { throw Error(ErrorCode::kNotFound, "there is no job " + id); }

}  // namespace

// The open database and its statements, compiled once.
struct SqliteJobStore::Sql {
  // Opens the file and makes its schema the present one.
  struct Opened : SqliteDatabase {
    explicit Opened(const StateFolder& folder) : SqliteDatabase(folder.database()) {
      Migrate(*this, JobStoreMigrations());
      if (const std::string mode = Text("PRAGMA journal_mode = WAL"); mode != "wal") {
        throw Error(ErrorCode::kFailedPrecondition, "job store " + path() +
                                                        " cannot use write-ahead logging (SQLite chose " + mode +
                                                        "); the state folder must be on a local disk");
      }
      // Commits do not wait for the disk; Sync does, which is the sync of the log that FULL would add to every commit.
      Execute("PRAGMA synchronous = NORMAL");
      Integer("SELECT count(*) FROM sqlite_master");  // from the first look on the log is there
      SyncFolder(folder.root());
    }
  };

  explicit Sql(const StateFolder& folder) : database(folder) {}

  Opened database;
  // SQLite appends each commit to this file; the database follows at checkpoints, which sync both. Open for as long as
  // the database, so that no failure to write goes unseen.
  const std::filesystem::path log_path = database.path() + "-wal";
  const FileDescriptor log = OpenToSync(log_path);
  SqliteStatement insert{
      database,
      "INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, error_code, "
      "error, detail, conditioning, negative_conditioning, spec, timings) "
      "VALUES (?, 'queued', ?, ?, 0, 0, ?, 0, '', '', '', ?, ?, ?, ?)"};
  SqliteStatement get{database, std::string("SELECT ") + kJobColumns + " FROM job WHERE id = ?"};
  SqliteStatement get_state{database, "SELECT state FROM job WHERE id = ?"};
  SqliteStatement get_conditioning{database, "SELECT conditioning, negative_conditioning FROM job WHERE id = ?"};
  SqliteStatement queued{database, "SELECT id, client, priority FROM job WHERE state = 'queued' ORDER BY id"};
  SqliteStatement transition{
      database,
      "UPDATE job SET state = ?, attempt = attempt + ?, step = ?, timings = ?, fits = ?, error = ?, error_code = ?, "
      "detail = ?, finished_ms = ? WHERE id = ? AND state = ?"};
  SqliteStatement save_progress{
      database, "UPDATE job SET step = ?, timings = ?, fits = ?, detail = ? WHERE id = ? AND state = ?"};
  SqliteStatement requeue{database,
                          "UPDATE job SET state = 'queued', step = 0, timings = '{}', detail = '' "
                          "WHERE state IN ('encoding', 'ready', 'rendering', 'decoding')"};
};

SqliteJobStore::SqliteJobStore(const StateFolder& folder, std::function<uint64_t()> random)
    : conditioning_(folder.conditioning()), ids_(std::move(random)), sql_(std::make_unique<Sql>(folder)) {
  // Ids keep growing when the clock was set back between two lives of the daemon.
  const std::string newest = sql_->database.Text("SELECT max(id) FROM job");
  if (!newest.empty()) ids_.StartAfter(newest);
}

SqliteJobStore::~SqliteJobStore() = default;

std::string SqliteJobStore::Accept(const JobSpec& spec, const UploadedConditioning& uploaded, int64_t now_unix_ms) {
  // Files first: a row never names a file that is not there.
  const std::string positive = uploaded.positive ? conditioning_.Save(*uploaded.positive) : "";
  const std::string negative = uploaded.negative ? conditioning_.Save(*uploaded.negative) : "";
  const std::string spec_json = SpecToJson(spec);
  const std::string timings_json = TimingsToJson({});
  const std::lock_guard lock(mutex_);
  const std::string id = ids_.Next(now_unix_ms);
  SqliteQuery(sql_->insert, id, spec.client, int64_t{spec.priority}, now_unix_ms, positive, negative, spec_json,
              timings_json)
      .Run();
  return id;
}

std::optional<Job> SqliteJobStore::Get(const std::string& id) {
  const std::lock_guard lock(mutex_);
  SqliteQuery query(sql_->get, id);
  if (!query.Next()) return std::nullopt;
  return ReadJob(query);
}

std::vector<Job> SqliteJobStore::List(const JobFilter& filter) {
  if (filter.limit < 0 || filter.limit > kMaxListLimit) {
    throw Error(ErrorCode::kInvalidArgument,
                "limit " + std::to_string(filter.limit) + " is not from 1 to " + std::to_string(kMaxListLimit));
  }
  if (!filter.before_id.empty() && !IsJobId(filter.before_id)) {
    throw Error(ErrorCode::kInvalidArgument, "before_id is not a job id, which is 26 digits and capital letters");
  }
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(sql_->database, ListSql(filter));
  SqliteQuery query(statement);
  // "~" sorts behind every id.
  query.Bind(filter.before_id.empty() ? std::string_view("~") : std::string_view(filter.before_id));
  if (!filter.client.empty()) query.Bind(filter.client);
  for (const JobState state : filter.states) query.Bind(JobStateName(state));
  query.Bind(int64_t{filter.limit == 0 ? kDefaultListLimit : filter.limit});
  std::vector<Job> jobs;
  while (query.Next()) jobs.push_back(ReadJobOrItsError(query));
  return jobs;
}

std::vector<QueuedJob> SqliteJobStore::Queued() {
  const std::lock_guard lock(mutex_);
  SqliteQuery query(sql_->queued);
  std::vector<QueuedJob> jobs;
  while (query.Next()) jobs.push_back({query.Text(0), query.Text(1), static_cast<int32_t>(query.Integer(2))});
  return jobs;
}

void SqliteJobStore::Transition(const std::string& id, JobState from, JobState to, const JobProgress& progress) {
  if (!IsLegal(from, to)) {
    throw Error(ErrorCode::kFailedPrecondition, "job " + id + " cannot go from " + std::string(JobStateName(from)) +
                                                    " to " + std::string(JobStateName(to)));
  }
  const std::string timings = TimingsToJson(progress.timings);
  const std::lock_guard lock(mutex_);
  SqliteQuery(sql_->transition, JobStateName(to), int64_t{to == JobState::kEncoding}, int64_t{progress.step}, timings,
              FitsToJson(progress.fits), progress.error, progress.error_code, progress.detail,
              progress.finished_unix_ms, id, JobStateName(from))
      .Run();
  if (sql_->database.Changes() == 1) return;
  SqliteQuery query(sql_->get_state, id);
  if (!query.Next()) Unknown(id);
  throw Error(ErrorCode::kFailedPrecondition,
              "job " + id + " is " + query.Text(0) + ", not " + std::string(JobStateName(from)));
}

void SqliteJobStore::SaveProgress(const std::string& id, JobState state, const JobProgress& progress) {
  const std::string timings = TimingsToJson(progress.timings);
  const std::lock_guard lock(mutex_);
  SqliteQuery(sql_->save_progress, int64_t{progress.step}, timings, FitsToJson(progress.fits), progress.detail, id,
              JobStateName(state))
      .Run();
}

int64_t SqliteJobStore::RequeueUnfinished() {
  const std::lock_guard lock(mutex_);
  SqliteQuery(sql_->requeue).Run();
  return sql_->database.Changes();
}

UploadedConditioning SqliteJobStore::LoadConditioning(const std::string& id) {
  std::string positive;
  std::string negative;
  {
    const std::lock_guard lock(mutex_);
    SqliteQuery query(sql_->get_conditioning, id);
    if (!query.Next()) Unknown(id);
    positive = query.Text(0);
    negative = query.Text(1);
  }
  UploadedConditioning uploaded;
  if (!positive.empty()) uploaded.positive = conditioning_.Load(positive);
  if (!negative.empty()) uploaded.negative = conditioning_.Load(negative);
  return uploaded;
}

// Without the lock: whoever only reads, or commits, does not wait.
void SqliteJobStore::Sync() { SyncFile(sql_->log, sql_->log_path); }

}  // namespace diptych
