#include "render_node/jobs/sqlite_job_store.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <utility>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/jobs/durable_file.h"
#include "render_node/jobs/job_filter.h"
#include "render_node/jobs/job_json.h"
#include "render_node/jobs/log_damage.h"
#include "render_node/jobs/sqlite_database.h"
#include "render_node/jobs/sqlite_schema.h"
#include "render_node/jobs/turns.h"

namespace diptych {
namespace {

constexpr int64_t kCheckedAtStart = 16 << 20;  // bytes

// Read by ReadFacts and ReadRow in this order. With the prompts shortened, or with whole ones where they are kept.
constexpr char kShortJob[] =
    "SELECT id, state, step, attempt, accepted_ms, finished_ms, error, error_code, detail, deadline_ms, picture, "
    "picture_bytes, crashes, crash_step, sequence, spec, timings, fits, spec_sha256 <> '' FROM job ";
constexpr char kWholeJob[] =
    "SELECT job.id, state, step, attempt, accepted_ms, finished_ms, error, error_code, detail, deadline_ms, picture, "
    "picture_bytes, crashes, crash_step, sequence, coalesce(long_spec.spec, job.spec), timings, fits, "
    "spec_sha256 <> '' AND long_spec.spec IS NULL FROM job LEFT JOIN long_spec ON spec_sha256 <> '' AND "
    "long_spec.id = job.id ";

constexpr int64_t kIdsInOneGo = 512;            // that a list looks at
constexpr int64_t kEndedInOneGo = 512;          // likewise, Ended
constexpr std::chrono::milliseconds kTurn(20);  // that a list may take while others wait

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
  job.prompts_shortened = row.Integer(18) != 0;
  return job;
}

// As it lies there. To parse it takes a while where prompts are long: nobody should hold a lock meanwhile.
struct JobRow {
  Job facts;
  std::string state, spec, timings, fits;
};

JobRow ReadRow(const SqliteQuery& row) {
  return {ReadFacts(row), row.Text(1), row.Text(15), row.Text(16), row.Text(17)};
}

Job ParseJob(const JobRow& row) {
  Job job = row.facts;
  try {
    job.state = ParseJobState(row.state);
    job.spec = SpecFromJson(row.spec);
    job.timings = TimingsFromJson(row.timings);
    job.fits = FitsFromJson(row.fits);
  } catch (const Error& error) {
    throw Error(error.code(), "job " + job.id + ": " + error.what());
  }
  return job;
}

// For lists: one damaged job does not hide the others.
Job ParseJobOrItsError(const JobRow& row) {
  try {
    return ParseJob(row);
  } catch (const Error& error) {
    Job job = row.facts;
    try {
      job.state = ParseJobState(row.state);
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

// About what a job takes of a page beside its timings.
int64_t BytesOf(const Job& job) {
  constexpr size_t kNumbers = 512;
  return PromptBytes(job.spec) + static_cast<int64_t>(kNumbers + job.error.size() + job.detail.size() +
                                                      job.spec.client.size() + job.spec.idempotency_key.size());
}

// The least id of a job that was accepted then or later: ids begin with the time, which only ever grows.
std::string LeastIdOf(int64_t unix_ms) {
  JobIdGenerator ids([] { return uint64_t{0}; });
  return ids.Next(unix_ms);
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
  Turns lists_turns;
  // SQLite appends each commit to this file; the database follows at checkpoints, which sync both. Open for as long as
  // the database, so that no failure to write goes unseen.
  const std::filesystem::path log_path = database.path() + "-wal";
  const FileDescriptor log = OpenToSync(log_path);
  SqliteStatement insert{
      database,
      "INSERT INTO job (id, state, client, priority, attempt, step, accepted_ms, finished_ms, error_code, error, "
      "detail, conditioning, negative_conditioning, spec, timings, idempotency_key, deadline_ms, sequence, host, "
      "spec_sha256, spec_bytes, upload_bytes, work, encode_work) "
      "VALUES (?, 'queued', ?, ?, 0, 0, ?, 0, '', '', '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
  SqliteStatement insert_long{database, "INSERT INTO long_spec (id, spec) VALUES (?, ?)"};
  SqliteStatement remove_long{database, "DELETE FROM long_spec WHERE id = ?"};
  SqliteStatement insert_input{database, "INSERT OR IGNORE INTO job_input (job, sha256) VALUES (?, ?)"};
  SqliteStatement remove_inputs{database, "DELETE FROM job_input WHERE job = ?"};
  SqliteStatement find_key{
      database,
      "SELECT id, spec, conditioning, negative_conditioning, spec_sha256 FROM job WHERE client = ? AND "
      "idempotency_key = ? "
      "AND idempotency_key <> ''"};  // the last words let SQLite use the index
  SqliteStatement get{database, std::string(kWholeJob) + "WHERE job.id = ?"};
  SqliteStatement get_state{database, "SELECT state, attempt FROM job WHERE id = ?"};
  SqliteStatement get_rows{database, "SELECT conditioning, negative_conditioning, upload_bytes FROM job WHERE id = ?"};
  SqliteStatement queued{database,
                         "SELECT id, client, priority, deadline_ms, attempt > 0, crashes > 0, conditioning <> '', "
                         "work, encode_work, host, "
                         "spec_bytes + upload_bytes FROM job WHERE state = 'queued' ORDER BY id"};
  SqliteStatement claim{
      database,
      "UPDATE job SET state = 'encoding', attempt = ?1, timings = ?2, sequence = ?3, owner = ?4, owner_life = ?5, "
      "lease_until_ms = ?6 WHERE id = ?7 AND state = 'queued' AND attempt = ?1 - 1"};
  SqliteStatement renew{
      database,
      "UPDATE job SET lease_until_ms = ? WHERE state IN ('encoding', 'ready', 'rendering', 'decoding') AND owner = ? "
      "AND owner_life = ?"};
  SqliteStatement take_over{database,
                            "UPDATE job SET owner = ?1, owner_life = ?2, lease_until_ms = ?3 "
                            "WHERE state IN ('encoding', 'ready', 'rendering', 'decoding') "
                            "AND (lease_until_ms <= ?4 OR (owner = ?1 AND owner_life <> ?2)) RETURNING id"};
  SqliteStatement transition{
      database,
      "UPDATE job SET state = ?1, step = ?2, timings = ?3, fits = ?4, error = ?5, error_code = ?6, detail = ?7, "
      "finished_ms = ?8, picture = ?9, picture_bytes = ?10, crashes = ?11, crash_step = ?12, sequence = ?13, "
      "owner = CASE WHEN ?1 = 'queued' THEN '' ELSE owner END, "
      "owner_life = CASE WHEN ?1 = 'queued' THEN '' ELSE owner_life END, "
      "lease_until_ms = CASE WHEN ?1 = 'queued' THEN 0 ELSE lease_until_ms END "
      "WHERE id = ?14 AND state = ?15 AND attempt = coalesce(nullif(?16, -1), attempt)"};
  // To a state in which it has ended.
  SqliteStatement end{
      database,
      "UPDATE job SET state = ?1, step = ?2, timings = ?3, fits = ?4, error = ?5, error_code = ?6, detail = ?7, "
      "finished_ms = ?8, picture = ?9, picture_bytes = ?10, crashes = ?11, crash_step = ?12, sequence = ?13, "
      "upload_bytes = 0, owner = '', owner_life = '', lease_until_ms = 0, spec_bytes = CASE WHEN ?1 = 'done' THEN "
      "spec_bytes ELSE length(CAST(spec AS BLOB)) END "
      "WHERE id = ?14 AND state = ?15 AND attempt = coalesce(nullif(?16, -1), attempt) "
      "RETURNING ?1 <> 'done' AND spec_sha256 <> '', conditioning, negative_conditioning, "
      "EXISTS (SELECT 1 FROM job_input WHERE job_input.job = ?14)"};
  SqliteStatement save_progress{database,
                                "UPDATE job SET step = ?, timings = ?, fits = ?, detail = ?, sequence = ? "
                                "WHERE id = ? AND state = ? AND attempt = coalesce(nullif(?, -1), attempt)"};
  SqliteStatement get_short{database, std::string(kShortJob) + "WHERE id = ?"};
  // "+" keeps SQLite from choosing the index by state, which it would have to sort for each piece.
  SqliteStatement ended{database,
                        "SELECT id, finished_ms, picture_bytes, host, spec_bytes FROM job WHERE finished_ms > 0 "
                        "AND (finished_ms, id) < (?, ?) AND +state IN ('done', 'failed', 'cancelled') "
                        "ORDER BY finished_ms DESC, id DESC LIMIT ?"};
  SqliteStatement remove{
      database,
      "DELETE FROM job WHERE id = ? AND state NOT IN ('queued', 'encoding', 'ready', 'rendering', 'decoding')"};
  SqliteStatement is_referenced{
      database,
      "SELECT EXISTS (SELECT 1 FROM job WHERE picture = ?1 AND picture <> '') OR "
      "EXISTS (SELECT 1 FROM job WHERE conditioning = ?1 AND conditioning <> '' AND finished_ms = 0) OR "
      "EXISTS (SELECT 1 FROM job WHERE negative_conditioning = ?1 AND negative_conditioning <> '' AND finished_ms = "
      "0) OR EXISTS (SELECT 1 FROM job_input JOIN job ON job.id = job_input.job WHERE sha256 = ?1 AND finished_ms = "
      "0)"};
};

SqliteJobStore::SqliteJobStore(const StateFolder& folder, std::function<uint64_t()> random, SyncFunction sync,
                               std::shared_ptr<JobChanges> changes)
    : warning_(KeepDamagedLog(folder.database())),
      sync_(std::move(sync)),
      changes_(changes ? std::move(changes) : std::make_shared<JobChanges>()),
      ids_(std::move(random)),
      sql_(std::make_unique<Sql>(folder)) {
  // Ids keep growing when the clock was set back between two lives of the daemon.
  const std::string newest = sql_->database.Text("SELECT max(id) FROM job");
  if (!newest.empty()) ids_.StartAfter(newest);
}

SqliteJobStore::~SqliteJobStore() = default;

AcceptedJob SqliteJobStore::Accept(const JobSpec& spec, const JobRows& rows, int64_t now_unix_ms,
                                   const std::string& host) {
  AcceptedJob accepted = Insert(spec, rows, now_unix_ms, host);
  if (accepted.is_new) changes_->Tell(accepted.id);
  return accepted;
}

AcceptedJob SqliteJobStore::Insert(const JobSpec& spec, const JobRows& rows, int64_t now_unix_ms,
                                   const std::string& host) {
  const std::string spec_json = SpecToJson(spec);
  const std::string timings_json = TimingsToJson({});
  const std::optional<std::string> shortened =
      spec_json.size() > kShownPromptBytes ? ShortenedJson(spec) : std::nullopt;
  const std::string sha256 = shortened ? Sha256Hex(spec_json.data(), spec_json.size()) : "";
  const int64_t deadline_ms = spec.timeout_ms > 0 ? now_unix_ms + spec.timeout_ms : 0;
  const auto inputs = InputsOf(spec);
  const std::lock_guard lock(mutex_);
  if (std::optional<std::string> known = FindKey(spec, spec_json, rows)) return {*known, false};
  const std::string id = ids_.Next(now_unix_ms);
  const auto insert = [&] {
    SqliteQuery(sql_->insert, id, spec.client, int64_t{spec.priority}, now_unix_ms, rows.positive, rows.negative,
                shortened ? *shortened : spec_json, timings_json, spec.idempotency_key, deadline_ms, now_unix_ms * 1000,
                host, sha256, static_cast<int64_t>(spec_json.size()), rows.bytes, WorkOf(spec), EncodeWorkOf(spec))
        .Run();
  };
  if (shortened || !inputs.empty()) {
    SqliteTransaction transaction(sql_->database);
    insert();
    if (shortened) SqliteQuery(sql_->insert_long, id, spec_json).Run();
    for (const auto& [role, input] : inputs) SqliteQuery(sql_->insert_input, id, input.hex).Run();
    transaction.Commit();
  } else {
    insert();
  }
  return {id, true};
}

std::optional<std::string> SqliteJobStore::FindAccepted(const JobSpec& spec, const JobRows& rows) {
  if (spec.idempotency_key.empty()) return std::nullopt;
  const std::string spec_json = SpecToJson(spec);
  const std::lock_guard lock(mutex_);
  return FindKey(spec, spec_json, rows);
}

// The caller holds the lock.
std::optional<std::string> SqliteJobStore::FindKey(const JobSpec& spec, const std::string& spec_json,
                                                   const JobRows& rows) {
  if (spec.idempotency_key.empty()) return std::nullopt;
  SqliteQuery known(sql_->find_key, spec.client, spec.idempotency_key);
  if (!known.Next()) return std::nullopt;
  const std::string id = known.Text(0);
  const std::string sha256 = known.Text(4);  // of the specification, where the row has a shortened one
  const bool is_same =
      sha256.empty() ? SpecFromJson(known.Text(1)) == spec : sha256 == Sha256Hex(spec_json.data(), spec_json.size());
  if (is_same && known.Text(2) == rows.positive && known.Text(3) == rows.negative) return id;
  throw Error(ErrorCode::kFailedPrecondition, "idempotency_key \"" + spec.idempotency_key + "\" was used for job " +
                                                  id + ", which asks for something else; a new job needs a new key");
}

std::optional<Job> SqliteJobStore::Get(const std::string& id) {
  JobRow row;
  {
    const std::lock_guard lock(mutex_);
    SqliteQuery query(sql_->get, id);
    if (!query.Next()) return std::nullopt;
    row = ReadRow(query);
  }
  return ParseJob(row);
}

std::vector<Job> SqliteJobStore::List(const JobFilter& filter) {
  CheckFilter(filter);
  return Search(filter);
}

// In steps: some hundred ids from an index, then the rows of those that may fit. Between two of them, and inside when
// rows are long, others who list have their turn; each step looks at the store as it is then.
std::vector<Job> SqliteJobStore::Search(const JobFilter& filter) {
  const auto leave_if_abandoned = [&] {
    if (filter.abandoned && filter.abandoned())
      throw Error(ErrorCode::kCancelled, "nobody waits for this list any more");
  };
  const size_t limit = static_cast<size_t>(filter.limit == 0 ? kDefaultListLimit : filter.limit);
  const std::string words = AsciiLowerCase(filter.text);
  // What is not in the specification's text need not be looked for in what it says: to parse all takes ten times as
  // long.
  const std::optional<std::string> inside = InsideOfJson(words);
  const std::string least = filter.accepted_from_ms > 0 ? LeastIdOf(filter.accepted_from_ms) : "";
  std::string before = filter.before_id.empty() ? "~" : filter.before_id;  // "~" sorts behind every id
  std::vector<Job> jobs;
  int64_t bytes = 0;
  for (bool more = true; more;) {
    leave_if_abandoned();
    const std::lock_guard turn(sql_->lists_turns);
    const auto end = std::chrono::steady_clock::now() + kTurn;
    IdBlock block = NextIds(filter, before, least);
    more = !block.is_last;
    before = block.looked_until;
    SqliteStatement get(sql_->lists, (filter.text.empty() ? kShortJob + std::string("WHERE id = ?")
                                                          : kWholeJob + std::string("WHERE job.id = ?")));
    size_t looked_at = 0;
    const auto is_late = [&] { return std::chrono::steady_clock::now() >= end; };
    for (const std::string& id : block.ids) {
      ++looked_at;
      SqliteQuery query(get, id);
      if (!query.Next()) continue;  // forgotten meanwhile
      const JobRow row = ReadRow(query);
      if (!words.empty() && inside && AsciiLowerCase(row.spec).find(*inside) == std::string::npos) {
        if (is_late()) break;
        continue;
      }
      Job job = ParseJobOrItsError(row);
      if (IsIn(job, filter) && (words.empty() || HasWords(job.spec, words))) {
        if (!words.empty()) job.prompts_shortened = ShortenPrompts(job.spec) || job.prompts_shortened;
        bytes += static_cast<int64_t>(row.timings.size()) + BytesOf(job);
        if (filter.bytes > 0 && bytes > filter.bytes && !jobs.empty()) return jobs;
        jobs.push_back(std::move(job));
        if (jobs.size() == limit) return jobs;
      }
      if (is_late()) break;
    }
    if (looked_at != block.ids.size()) {
      before = block.ids[looked_at - 1];
      more = true;
    }
  }
  return jobs;
}

// Of jobs that may fit `filter`, newest first: those that an index finds, less what it tells beside.
SqliteJobStore::IdBlock SqliteJobStore::NextIds(const JobFilter& filter, const std::string& before,
                                                const std::string& least) {
  IdBlock block;
  const bool by_client = !filter.client.empty();
  std::string sql = "SELECT id FROM job WHERE id < ? AND id >= ?";
  // Ids alone are read from their own index, which is a hundredth of the jobs: milliseconds for 100 000 of them.
  if (!filter.id_part.empty()) {
    const std::string length = std::to_string(filter.id_part.size());
    sql += " AND (substr(id, 1, " + length + ") = ? OR substr(id, -" + length + ") = ?)";
  }
  if (by_client) sql += " AND client = ?";
  // Of a client's own jobs the rows say the rest.
  if (!by_client && !filter.states.empty()) sql += " AND state = ?";
  SqliteStatement statement(sql_->lists, sql + " ORDER BY id DESC LIMIT ?");
  const auto read = [&](std::optional<JobState> state) {
    SqliteQuery query(statement, before, least);
    for (int end = 0; end < 2 && !filter.id_part.empty(); ++end) query.Bind(filter.id_part);
    if (by_client) query.Bind(filter.client);
    if (state) query.Bind(JobStateName(*state));
    query.Bind(kIdsInOneGo);
    const size_t had = block.ids.size();
    while (query.Next()) block.ids.push_back(query.Text(0));
    // Below this one there may be more of this state: ids of others are not looked at before those.
    if (block.ids.size() - had < static_cast<size_t>(kIdsInOneGo)) return;
    block.is_last = false;
    block.looked_until = std::max(block.looked_until, block.ids.back());
  };
  if (by_client || filter.states.empty()) {
    read(std::nullopt);
  } else {
    for (const JobState state : filter.states) read(state);
  }
  std::sort(block.ids.begin(), block.ids.end(), std::greater<>());
  block.ids.erase(std::unique(block.ids.begin(), block.ids.end()), block.ids.end());
  std::erase_if(block.ids, [&](const std::string& id) { return id < block.looked_until; });
  return block;
}

std::vector<QueuedJob> SqliteJobStore::Queued() {
  const std::lock_guard lock(mutex_);
  SqliteQuery query(sql_->queued);
  std::vector<QueuedJob> jobs;
  while (query.Next()) {
    jobs.push_back({.id = query.Text(0),
                    .client = query.Text(1),
                    .priority = static_cast<int32_t>(query.Integer(2)),
                    .deadline_unix_ms = query.Integer(3),
                    .begun = query.Integer(4) != 0,
                    .suspect = query.Integer(5) != 0,
                    .stored = query.Integer(6) != 0,
                    .work = query.Real(7),
                    .encode_work = query.Real(8),
                    .host = query.Text(9),
                    .bytes = query.Integer(10)});
  }
  return jobs;
}

// Parses between two looks at the row, without the lock: the second finds it as the first did, or not at all.
std::optional<Job> SqliteJobStore::Claim(const std::string& id, const LeaseOwner& owner, int64_t now_unix_ms,
                                         int64_t lease_ms) {
  JobRow row;
  {
    const std::lock_guard lock(mutex_);
    SqliteQuery query(sql_->get, id);
    if (!query.Next()) return std::nullopt;
    row = ReadRow(query);
  }
  if (row.state != JobStateName(JobState::kQueued)) return std::nullopt;
  Job job = ParseJob(row);
  BeginAttempt(job, now_unix_ms);
  const std::string timings = TimingsToJson(job.timings);
  {
    const std::lock_guard lock(mutex_);
    SqliteQuery(sql_->claim, int64_t{job.attempt}, timings, job.sequence, owner.name, owner.life,
                now_unix_ms + lease_ms, id)
        .Run();
    if (sql_->database.Changes() != 1) return std::nullopt;
  }
  changes_->Tell(id);
  return job;
}

int64_t SqliteJobStore::Renew(const LeaseOwner& owner, int64_t now_unix_ms, int64_t lease_ms) {
  const std::lock_guard lock(mutex_);
  SqliteQuery(sql_->renew, now_unix_ms + lease_ms, owner.name, owner.life).Run();
  return sql_->database.Changes();
}

std::vector<Job> SqliteJobStore::TakeOver(const LeaseOwner& owner, int64_t now_unix_ms, int64_t lease_ms) {
  std::vector<Job> jobs;
  {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> ids;
    {
      SqliteQuery query(sql_->take_over, owner.name, owner.life, now_unix_ms + lease_ms, now_unix_ms);
      while (query.Next()) ids.push_back(query.Text(0));
    }
    std::sort(ids.begin(), ids.end());
    for (const std::string& id : ids) {
      SqliteQuery query(sql_->get_short, id);
      if (query.Next()) jobs.push_back(ParseJobOrItsError(ReadRow(query)));
    }
  }
  for (const Job& job : jobs) changes_->Tell(job.id);
  return jobs;
}

JobRows SqliteJobStore::Transition(const JobLease& lease, JobState from, JobState to, const JobProgress& progress) {
  CheckTransition(lease.id, from, to);
  const std::string timings = TimingsToJson(progress.timings), fits = FitsToJson(progress.fits);
  JobRows rows;
  {
    const std::lock_guard lock(mutex_);
    if (IsTerminal(to)) {
      rows = End(lease, from, to, progress);
    } else {
      SqliteQuery(sql_->transition, JobStateName(to), int64_t{progress.step}, timings, fits, progress.error,
                  progress.error_code, progress.detail, progress.finished_unix_ms, progress.picture,
                  progress.picture_bytes, int64_t{progress.crashes.count}, int64_t{progress.crashes.step},
                  progress.sequence, lease.id, JobStateName(from), AttemptOf(lease))
          .Run();
      if (sql_->database.Changes() != 1) RefuseTransition(lease, from);
    }
  }
  changes_->Tell(lease.id);
  return rows;
}

// The caller holds the lock.
JobRows SqliteJobStore::End(const JobLease& lease, JobState from, JobState to, const JobProgress& progress) {
  const std::string timings = TimingsToJson(progress.timings), fits = FitsToJson(progress.fits);
  JobRows rows;
  bool is_there = false, has_long_spec = false, has_inputs = false;
  {
    SqliteQuery query(sql_->end, JobStateName(to), int64_t{progress.step}, timings, fits, progress.error,
                      progress.error_code, progress.detail, progress.finished_unix_ms, progress.picture,
                      progress.picture_bytes, int64_t{progress.crashes.count}, int64_t{progress.crashes.step},
                      progress.sequence, lease.id, JobStateName(from), AttemptOf(lease));
    while (query.Next()) {  // to its end, which is the commit
      is_there = true;
      has_long_spec = query.Integer(0) != 0;
      rows = {query.Text(1), query.Text(2)};
      has_inputs = query.Integer(3) != 0;
    }
  }
  if (!is_there) RefuseTransition(lease, from);
  try {
    if (has_long_spec) SqliteQuery(sql_->remove_long, lease.id).Run();
    if (has_inputs) SqliteQuery(sql_->remove_inputs, lease.id).Run();
  } catch (const Error&) {
    // The job has ended all the same; what forgets it takes the rest along.
  }
  return rows;
}

// The caller holds the lock.
void SqliteJobStore::RefuseTransition(const JobLease& lease, JobState from) {
  const std::string& id = lease.id;
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

std::vector<EndedJob> SqliteJobStore::Ended() {
  std::vector<EndedJob> jobs;
  for (bool more = true; more;) {
    const size_t had = jobs.size();
    const int64_t before_ms = jobs.empty() ? std::numeric_limits<int64_t>::max() : jobs.back().finished_unix_ms;
    const std::string before_id = jobs.empty() ? "" : jobs.back().id;
    const std::lock_guard lock(mutex_);
    SqliteQuery query(sql_->ended, before_ms, before_id, kEndedInOneGo);
    while (query.Next()) {
      jobs.push_back({query.Text(0), query.Integer(1), query.Integer(2), query.Text(3), query.Integer(4)});
    }
    more = jobs.size() - had == static_cast<size_t>(kEndedInOneGo);
  }
  return jobs;
}

bool SqliteJobStore::Delete(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    SqliteQuery(sql_->remove, id).Run();
    if (sql_->database.Changes() != 1) return RefuseToDelete(id);
    SqliteQuery(sql_->remove_long, id).Run();
    SqliteQuery(sql_->remove_inputs, id).Run();
  }
  changes_->Tell(id);
  return true;
}

// The caller holds the lock. False when there is no such job.
bool SqliteJobStore::RefuseToDelete(const std::string& id) {
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

JobRows SqliteJobStore::Rows(const std::string& id) {
  const std::lock_guard lock(mutex_);
  SqliteQuery query(sql_->get_rows, id);
  if (!query.Next()) Unknown(id);
  return {query.Text(0), query.Text(1), query.Integer(2)};
}

std::optional<QueuePause> SqliteJobStore::LoadPause() {
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(sql_->database, "SELECT paused_by, since_ms FROM pause");
  SqliteQuery query(statement);
  if (!query.Next()) return std::nullopt;
  return QueuePause{query.Text(0), query.Integer(1)};
}

void SqliteJobStore::SavePause(const std::optional<QueuePause>& pause) {
  {
    const std::lock_guard lock(mutex_);
    SqliteTransaction transaction(sql_->database);
    sql_->database.Execute("DELETE FROM pause");
    if (pause) {
      SqliteStatement insert(sql_->database, "INSERT INTO pause (paused_by, since_ms) VALUES (?, ?)");
      SqliteQuery(insert, pause->by, pause->since_unix_ms).Run();
    }
    transaction.Commit();
  }
  changes_->Tell("");
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
