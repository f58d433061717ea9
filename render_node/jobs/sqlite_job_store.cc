#include "render_node/jobs/sqlite_job_store.h"

#include <utility>

#include "common/conditioning/conditioning_hash.h"
#include "common/error/error.h"
#include "render_node/jobs/durable_file.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/log_damage.h"
#include "render_node/jobs/sqlite_database.h"
#include "render_node/jobs/sqlite_schema.h"

namespace diptych {
namespace {

constexpr int64_t kCheckedAtStart = 16 << 20;  // bytes

// Read by ReadFacts and ReadJob in this order.
constexpr char kJobColumns[] =
    "id, state, step, attempt, accepted_ms, finished_ms, error, error_code, detail, deadline_ms, picture, "
    "picture_bytes, crashes, crash_step, sequence, spec, timings, fits";

// All but what may be damaged.
Job ReadFacts(const SqliteQuery& row) {
  Job job;
  job.id = row.Text(0);
  job.step = static_cast<int32_t>(row.Integer(2));
  job.attempt = static_cast<int32_t>(row.Integer(3));
  job.accepted_unix_ms = row.Integer(4);
  job.finished_unix_ms = row.Integer(5);
  job.error = row.Text(6);
  job.error_code = row.Text(7);
  job.detail = row.Text(8);
  job.deadline_unix_ms = row.Integer(9);
  job.picture = row.Text(10);
  job.picture_bytes = row.Integer(11);
  job.crashes = {static_cast<int32_t>(row.Integer(12)), static_cast<int32_t>(row.Integer(13))};
  job.sequence = row.Integer(14);
  return job;
}

Job ReadJob(const SqliteQuery& row) {
  Job job = ReadFacts(row);
  try {
    job.state = ParseJobState(row.Text(1));
    job.spec = SpecFromJson(row.Text(15));
    job.timings = TimingsFromJson(row.Text(16));
    job.fits = FitsFromJson(row.Text(17));
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
    try {
      job.state = ParseJobState(row.Text(1));
    } catch (const Error&) {
      job.state = JobState::kFailed;  // as the next start will have it
    }
    job.detail = error.what();
    return job;
  }
}

// Whoever waits for a job whose state became unreadable learns that it has failed.
void FailUnreadableStates(SqliteDatabase& database) {
  database.Execute(
      "UPDATE job SET error = 'its stored state \"' || state || '\" cannot be read', error_code = 'DATA_LOSS', "
      "finished_ms = max(finished_ms, accepted_ms), state = 'failed' WHERE state NOT IN "
      "('queued', 'encoding', 'ready', 'rendering', 'decoding', 'done', 'failed', 'cancelled')");
}

std::string ListSql(const JobFilter& filter) {
  std::string sql = std::string("SELECT ") + kJobColumns + " FROM job WHERE id < ?";
  if (!filter.client.empty()) sql += " AND client = ?";
  if (filter.accepted_from_ms > 0) sql += " AND accepted_ms >= ?";
  if (filter.accepted_before_ms > 0) sql += " AND accepted_ms < ?";
  if (!filter.text.empty()) {
    sql +=
        " AND json_valid(spec) AND instr(lower(coalesce(json_extract(spec, '$.prompt.user'), '') || ' ' || "
        "coalesce(json_extract(spec, '$.prompt.conversation_json'), '')), lower(?)) > 0";
  }
  // Ids alone are read from their own index, which is a hundredth of the jobs: milliseconds for 100 000 of them.
  if (!filter.id_part.empty()) {
    const std::string length = std::to_string(filter.id_part.size());
    sql += " AND id IN (SELECT id FROM job WHERE substr(id, 1, " + length + ") = ? OR substr(id, -" + length + ") = ?)";
  }
  // At most as many as there are states, which is what SQLite's limit on variables asks for.
  for (size_t i = 0; i < filter.states.size(); ++i) sql += i == 0 ? " AND state IN (?" : ", ?";
  if (!filter.states.empty()) sql += ")";
  return sql + " ORDER BY id DESC LIMIT ?";
}

// EncodeWorkOf one of a job's prompts.
std::string EncodeWorkSql(const std::string& prompt) {
  std::string sql = std::to_string(static_cast<int>(kTemplateBytes));
  for (const char* part : {"user", "system", "thinking", "assistant", "conversation_json"}) {
    sql += " + length(CAST(coalesce(json_extract(sound_spec, '$." + prompt + "." + part + "'), '') AS BLOB))";
  }
  return sql;
}

// Before SQLite opens the store and writes over what it cannot read. Returns a warning, empty when all is well.
std::string KeepDamagedLog(const std::filesystem::path& database) {
  const std::optional<LogDamage> damage = FindLogDamage(database);
  if (!damage) return "";
  const std::filesystem::path log = database.string() + "-wal";
  const std::string lost = "the job store's log is damaged: " + std::to_string(damage->lost_pages) +
                           " pages behind the first " + std::to_string(damage->readable_pages) +
                           " cannot be used, and the jobs that were accepted last may be missing";
  if (!std::filesystem::exists(log)) return lost + "; " + log.string() + " is gone";
  const std::filesystem::path copy = log.string() + ".damaged";
  const std::vector<uint8_t> bytes = ReadWholeFile(log);
  WriteFileDurably(copy, {{bytes.data(), bytes.size()}});
  return lost + "; a copy is kept in " + copy.string();
}

// As the statements take it: -1 stands for any.
int64_t AttemptOf(const JobLease& lease) { return lease.attempt.value_or(-1); }

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
      Execute("PRAGMA journal_size_limit = 16777216");  // a log that long readers let grow is cut back
      // Pages that are not what they must be; in a large store, where a look at all takes its time, readers find them.
      const bool is_small = Integer("PRAGMA page_count") * Integer("PRAGMA page_size") <= kCheckedAtStart;
      if (const std::string found = is_small ? Text("PRAGMA quick_check(1)") : "ok"; found != "ok") {
        throw Error(ErrorCode::kDataLoss, "job store " + path() + " is damaged: " + found);
      }
      FailUnreadableStates(*this);
      Integer("SELECT count(*) FROM sqlite_master");  // from the first look on the log is there
      SyncFolder(folder.root());
    }
  };

  explicit Sql(const StateFolder& folder) : database(folder), lists(folder.database()) {}

  Opened database;
  SqliteDatabase lists;  // a look through 100 000 prompts takes a while, and nobody shall wait for it
  std::mutex lists_mutex;
  // SQLite appends each commit to this file; the database follows at checkpoints, which sync both. Open for as long as
  // the database, so that no failure to write goes unseen.
  const std::filesystem::path log_path = database.path() + "-wal";
  const FileDescriptor log = OpenToSync(log_path);
  SqliteStatement insert{
      database,
      "INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, error_code, error, "
      "detail, conditioning, negative_conditioning, spec, timings, idempotency_key, deadline_ms, sequence) "
      "VALUES (?, 'queued', ?, ?, 0, 0, ?, 0, '', '', '', ?, ?, ?, ?, ?, ?, ?)"};
  SqliteStatement find_key{
      database,
      "SELECT id, spec, conditioning, negative_conditioning FROM job WHERE client = ? AND idempotency_key = ? "
      "AND idempotency_key <> ''"};  // the last words let SQLite use the index
  SqliteStatement get{database, std::string("SELECT ") + kJobColumns + " FROM job WHERE id = ?"};
  SqliteStatement get_state{database, "SELECT state, attempt FROM job WHERE id = ?"};
  SqliteStatement get_conditioning{database, "SELECT conditioning, negative_conditioning FROM job WHERE id = ?"};
  SqliteStatement queued{
      database, std::string("SELECT id, client, priority, deadline_ms, attempt > 0, crashes > 0, conditioning <> '', "
                            "json_extract(sound_spec, '$.width'), json_extract(sound_spec, '$.height'), "
                            "json_extract(sound_spec, '$.steps'), "
                            "json_extract(sound_spec, '$.guidance_scale') > 0, ") +
                    EncodeWorkSql("prompt") + ", " + EncodeWorkSql("negative") +
                    " FROM (SELECT *, CASE WHEN json_valid(spec) THEN spec END AS sound_spec FROM job WHERE state = "
                    "'queued') ORDER BY id"};
  SqliteStatement transition{
      database,
      "UPDATE job SET state = ?, attempt = attempt + ?, step = ?, timings = ?, fits = ?, error = ?, error_code = ?, "
      "detail = ?, finished_ms = ?, picture = ?, picture_bytes = ?, crashes = ?, crash_step = ?, sequence = ? "
      "WHERE id = ? AND state = ? AND attempt = coalesce(nullif(?, -1), attempt)"};
  SqliteStatement save_progress{database,
                                "UPDATE job SET step = ?, timings = ?, fits = ?, detail = ?, sequence = ? "
                                "WHERE id = ? AND state = ? AND attempt = coalesce(nullif(?, -1), attempt)"};
  SqliteStatement under_way{database, std::string("SELECT ") + kJobColumns +
                                          " FROM job WHERE state IN ('encoding', 'ready', 'rendering', 'decoding') "
                                          "ORDER BY id"};
  SqliteStatement ended{database,
                        "SELECT id, finished_ms, picture_bytes FROM job WHERE finished_ms > 0 "
                        "AND state IN ('done', 'failed', 'cancelled') ORDER BY finished_ms DESC, id DESC"};
  SqliteStatement remove{
      database,
      "DELETE FROM job WHERE id = ? AND state NOT IN ('queued', 'encoding', 'ready', 'rendering', 'decoding')"};
  SqliteStatement is_referenced{
      database,
      "SELECT EXISTS (SELECT 1 FROM job WHERE picture = ?1 AND picture <> '') OR "
      "EXISTS (SELECT 1 FROM job WHERE conditioning = ?1 AND conditioning <> '') OR "
      "EXISTS (SELECT 1 FROM job WHERE negative_conditioning = ?1 AND negative_conditioning <> '')"};
};

SqliteJobStore::SqliteJobStore(const StateFolder& folder, std::function<uint64_t()> random, SyncFunction sync)
    : warning_(KeepDamagedLog(folder.database())),
      sync_(std::move(sync)),
      conditioning_(folder.conditioning()),
      ids_(std::move(random)),
      sql_(std::make_unique<Sql>(folder)) {
  // Ids keep growing when the clock was set back between two lives of the daemon.
  const std::string newest = sql_->database.Text("SELECT max(id) FROM job");
  if (!newest.empty()) ids_.StartAfter(newest);
}

SqliteJobStore::~SqliteJobStore() = default;

AcceptedJob SqliteJobStore::Accept(const JobSpec& spec, const UploadedConditioning& uploaded, int64_t now_unix_ms) {
  // Files first: a row never names a file that is not there.
  const std::string positive = uploaded.positive ? conditioning_.Save(*uploaded.positive) : "";
  const std::string negative = uploaded.negative ? conditioning_.Save(*uploaded.negative) : "";
  const std::string spec_json = SpecToJson(spec);
  const std::string timings_json = TimingsToJson({});
  const std::lock_guard lock(mutex_);
  if (std::optional<std::string> known = FindKey(spec, spec_json, positive, negative)) return {*known, false};
  const std::string id = ids_.Next(now_unix_ms);
  const int64_t deadline_ms = spec.timeout_ms > 0 ? now_unix_ms + spec.timeout_ms : 0;
  SqliteQuery(sql_->insert, id, spec.client, int64_t{spec.priority}, now_unix_ms, positive, negative, spec_json,
              timings_json, spec.idempotency_key, deadline_ms, now_unix_ms * 1000)
      .Run();
  return {id, true};
}

std::optional<std::string> SqliteJobStore::FindAccepted(const JobSpec& spec, const UploadedConditioning& uploaded) {
  if (spec.idempotency_key.empty()) return std::nullopt;
  const std::string positive = uploaded.positive ? ConditioningHash(*uploaded.positive) : "";
  const std::string negative = uploaded.negative ? ConditioningHash(*uploaded.negative) : "";
  const std::string spec_json = SpecToJson(spec);
  const std::lock_guard lock(mutex_);
  return FindKey(spec, spec_json, positive, negative);
}

// The caller holds the lock.
std::optional<std::string> SqliteJobStore::FindKey(const JobSpec& spec, const std::string& spec_json,
                                                   const std::string& positive, const std::string& negative) {
  if (spec.idempotency_key.empty()) return std::nullopt;
  SqliteQuery known(sql_->find_key, spec.client, spec.idempotency_key);
  if (!known.Next()) return std::nullopt;
  const std::string id = known.Text(0);
  if (known.Text(1) == spec_json && known.Text(2) == positive && known.Text(3) == negative) return id;
  throw Error(ErrorCode::kFailedPrecondition, "idempotency_key \"" + spec.idempotency_key + "\" was used for job " +
                                                  id + ", which asks for something else; a new job needs a new key");
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
  if (filter.id_part.size() > kJobIdLength) {
    throw Error(ErrorCode::kInvalidArgument, "id_part is longer than a job id, which is 26 digits and capital letters");
  }
  const std::lock_guard lock(sql_->lists_mutex);
  SqliteStatement statement(sql_->lists, ListSql(filter));
  SqliteQuery query(statement);
  // "~" sorts behind every id.
  query.Bind(filter.before_id.empty() ? std::string_view("~") : std::string_view(filter.before_id));
  if (!filter.client.empty()) query.Bind(filter.client);
  if (filter.accepted_from_ms > 0) query.Bind(filter.accepted_from_ms);
  if (filter.accepted_before_ms > 0) query.Bind(filter.accepted_before_ms);
  if (!filter.text.empty()) query.Bind(filter.text);
  for (int end = 0; end < 2 && !filter.id_part.empty(); ++end) query.Bind(filter.id_part);
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
  while (query.Next()) {
    const bool guided = query.Integer(10) != 0;
    jobs.push_back({.id = query.Text(0),
                    .client = query.Text(1),
                    .priority = static_cast<int32_t>(query.Integer(2)),
                    .deadline_unix_ms = query.Integer(3),
                    .begun = query.Integer(4) != 0,
                    .suspect = query.Integer(5) != 0,
                    .stored = query.Integer(6) != 0,
                    .work = PictureWork(static_cast<int32_t>(query.Integer(7)), static_cast<int32_t>(query.Integer(8)),
                                        static_cast<int32_t>(query.Integer(9)), guided ? 1.0 : 0.0),
                    .encode_work = static_cast<double>(query.Integer(11) + (guided ? query.Integer(12) : 0))});
  }
  return jobs;
}

void SqliteJobStore::Transition(const JobLease& lease, JobState from, JobState to, const JobProgress& progress) {
  const std::string& id = lease.id;
  if (!IsLegal(from, to)) {
    throw Error(ErrorCode::kFailedPrecondition, "job " + id + " cannot go from " + std::string(JobStateName(from)) +
                                                    " to " + std::string(JobStateName(to)));
  }
  const std::string timings = TimingsToJson(progress.timings);
  const std::lock_guard lock(mutex_);
  SqliteQuery(sql_->transition, JobStateName(to), int64_t{to == JobState::kEncoding}, int64_t{progress.step}, timings,
              FitsToJson(progress.fits), progress.error, progress.error_code, progress.detail,
              progress.finished_unix_ms, progress.picture, progress.picture_bytes, int64_t{progress.crashes.count},
              int64_t{progress.crashes.step}, progress.sequence, id, JobStateName(from), AttemptOf(lease))
      .Run();
  if (sql_->database.Changes() == 1) return;
  SqliteQuery query(sql_->get_state, id);
  if (!query.Next()) Unknown(id);
  if (query.Text(0) == JobStateName(from)) {
    throw Error(ErrorCode::kFailedPrecondition, "job " + id + " is in attempt " + std::to_string(query.Integer(1)) +
                                                    ", not " + std::to_string(AttemptOf(lease)));
  }
  throw Error(ErrorCode::kFailedPrecondition,
              "job " + id + " is " + query.Text(0) + ", not " + std::string(JobStateName(from)));
}

void SqliteJobStore::SaveProgress(const JobLease& lease, JobState state, const JobProgress& progress) {
  const std::string timings = TimingsToJson(progress.timings);
  const std::lock_guard lock(mutex_);
  SqliteQuery(sql_->save_progress, int64_t{progress.step}, timings, FitsToJson(progress.fits), progress.detail,
              progress.sequence, lease.id, JobStateName(state), AttemptOf(lease))
      .Run();
}

std::vector<Job> SqliteJobStore::UnderWay() {
  const std::lock_guard lock(mutex_);
  SqliteQuery query(sql_->under_way);
  std::vector<Job> jobs;
  while (query.Next()) jobs.push_back(ReadJobOrItsError(query));
  return jobs;
}

std::vector<EndedJob> SqliteJobStore::Ended() {
  const std::lock_guard lock(mutex_);
  SqliteQuery query(sql_->ended);
  std::vector<EndedJob> jobs;
  while (query.Next()) jobs.push_back({query.Text(0), query.Integer(1), query.Integer(2)});
  return jobs;
}

bool SqliteJobStore::Delete(const std::string& id) {
  const std::lock_guard lock(mutex_);
  SqliteQuery(sql_->remove, id).Run();
  if (sql_->database.Changes() == 1) return true;
  SqliteQuery query(sql_->get_state, id);
  if (!query.Next()) return false;
  throw Error(ErrorCode::kFailedPrecondition,
              "job " + id + " is " + query.Text(0) + "; cancel it first, only a job that has ended can be removed");
}

std::vector<std::string> SqliteJobStore::Unreferenced(const std::vector<std::string>& names) {
  std::vector<std::string> unreferenced;
  for (const std::string& name : names) {
    const std::lock_guard lock(mutex_);
    SqliteQuery query(sql_->is_referenced, name);
    query.Next();
    if (query.Integer(0) == 0) unreferenced.push_back(name);
  }
  return unreferenced;
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

std::optional<QueuePause> SqliteJobStore::LoadPause() {
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(sql_->database, "SELECT paused_by, since_ms FROM pause");
  SqliteQuery query(statement);
  if (!query.Next()) return std::nullopt;
  return QueuePause{query.Text(0), query.Integer(1)};
}

void SqliteJobStore::SavePause(const std::optional<QueuePause>& pause) {
  const std::lock_guard lock(mutex_);
  SqliteTransaction transaction(sql_->database);
  sql_->database.Execute("DELETE FROM pause");
  if (pause) {
    SqliteStatement insert(sql_->database, "INSERT INTO pause (paused_by, since_ms) VALUES (?, ?)");
    SqliteQuery(insert, pause->by, pause->since_unix_ms).Run();
  }
  transaction.Commit();
}

// Without the lock: whoever only reads, or commits, does not wait.
void SqliteJobStore::Sync() {
  if (!distrusts_log_) {
    try {
      sync_(sql_->log, sql_->log_path);
      if (!distrusts_log_) return;  // nor has another sync failed meanwhile
    } catch (...) {
      distrusts_log_ = true;
      throw;
    }
  }
  // Once the kernel has said that it could not write the log, the next sync may say nothing and still prove nothing.
  // What the log holds is copied into the database and synced there, and the log begins anew.
  const std::lock_guard lock(mutex_);
  SqliteStatement checkpoint(sql_->database, "PRAGMA wal_checkpoint(TRUNCATE)");
  SqliteQuery query(checkpoint);
  if (!query.Next() || query.Integer(0) != 0) {
    throw Error(ErrorCode::kUnavailable, "job store " + sql_->database.path() +
                                             " could not be written to the disk and is still being read; try again");
  }
  distrusts_log_ = false;
}

}  // namespace diptych
