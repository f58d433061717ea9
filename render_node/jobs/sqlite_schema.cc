#include "render_node/jobs/sqlite_schema.h"

#include <optional>
#include <string>
#include <vector>

#include "common/digest/sha256.h"
#include "common/error/error.h"
#include "render_node/jobs/job_json.h"

namespace diptych {
namespace {

constexpr int64_t kApplicationId = 0x64697074;  // "dipt", so that a foreign database is not taken for ours

// Types and statements are those that PostgreSQL has too. Times in milliseconds since 1970; spec and timings are JSON
// (job_json.h); conditioning columns hold the hash of an uploaded file or are empty.
void CreateVersion1(SqliteDatabase& database) {
  database.Execute(R"sql(
    CREATE TABLE job (
      id TEXT PRIMARY KEY NOT NULL,
      state TEXT NOT NULL,
      client TEXT NOT NULL,
      priority INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      step INTEGER NOT NULL,
      accepted_ms BIGINT NOT NULL,
      finished_ms BIGINT NOT NULL,
      error_code TEXT NOT NULL,
      error TEXT NOT NULL,
      detail TEXT NOT NULL,
      conditioning TEXT NOT NULL,
      negative_conditioning TEXT NOT NULL,
      spec TEXT NOT NULL,
      timings TEXT NOT NULL
    );
    CREATE INDEX job_by_state ON job (state, id);
    CREATE INDEX job_by_client ON job (client, id);
  )sql");
}

// How the prompts' tokens became rows, as JSON (job_json.h).
void AddPromptFits(SqliteDatabase& database) {
  database.Execute("ALTER TABLE job ADD COLUMN fits TEXT NOT NULL DEFAULT '{}'");
}

// What an attempt may do (JobLease), what a repeated submission gives, where the picture is. Pictures were named by
// their jobs before; their size is not known, 0 stands for it. Sequence 0 would say that there is nothing to see.
void AddLeases(SqliteDatabase& database) {
  database.Execute(R"sql(
    ALTER TABLE job ADD COLUMN idempotency_key TEXT NOT NULL DEFAULT '';
    ALTER TABLE job ADD COLUMN deadline_ms BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN picture TEXT NOT NULL DEFAULT '';
    ALTER TABLE job ADD COLUMN picture_bytes BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN crash_step INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;
    UPDATE job SET picture = id WHERE state = 'done';
    UPDATE job SET sequence = 1;
    CREATE UNIQUE INDEX job_by_key ON job (client, idempotency_key) WHERE idempotency_key <> '';
    CREATE INDEX job_by_picture ON job (picture) WHERE picture <> '';
    CREATE INDEX job_by_conditioning ON job (conditioning) WHERE conditioning <> '';
    CREATE INDEX job_by_negative ON job (negative_conditioning) WHERE negative_conditioning <> '';
    CREATE INDEX job_by_end ON job (finished_ms) WHERE finished_ms > 0;
  )sql");
}

// At most one row: the queue is paused.
void AddPause(SqliteDatabase& database) {
  database.Execute("CREATE TABLE pause (paused_by TEXT NOT NULL, since_ms BIGINT NOT NULL)");
}

// Where jobs come from and what they take of the disk; what the queue must know of a waiting job without reading its
// prompts. Specifications with long prompts are in a table of their own, and their jobs have them shortened: whoever
// goes through many jobs reads short rows. spec_sha256 is that of the whole one, empty where it was never shortened.
void AddHosts(SqliteDatabase& database) {
  database.Execute(R"sql(
    CREATE TABLE long_spec (id TEXT PRIMARY KEY NOT NULL, spec TEXT NOT NULL);
    ALTER TABLE job ADD COLUMN host TEXT NOT NULL DEFAULT '';
    ALTER TABLE job ADD COLUMN spec_sha256 TEXT NOT NULL DEFAULT '';
    ALTER TABLE job ADD COLUMN spec_bytes BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN upload_bytes BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN work DOUBLE PRECISION NOT NULL DEFAULT 1;
    ALTER TABLE job ADD COLUMN encode_work DOUBLE PRECISION NOT NULL DEFAULT 0;
    UPDATE job SET spec_bytes = length(CAST(spec AS BLOB));
    DROP INDEX job_by_end;
    CREATE INDEX job_by_end ON job (finished_ms, id, state, picture_bytes, host, spec_bytes) WHERE finished_ms > 0;
    DROP INDEX job_by_conditioning;
    DROP INDEX job_by_negative;
    CREATE INDEX job_by_conditioning ON job (conditioning) WHERE conditioning <> '' AND finished_ms = 0;
    CREATE INDEX job_by_negative ON job (negative_conditioning) WHERE negative_conditioning <> '' AND finished_ms = 0;
  )sql");
  std::vector<std::string> ids;
  {
    SqliteStatement statement(database, "SELECT id FROM job WHERE finished_ms = 0 OR spec_bytes > ?");
    SqliteQuery query(statement, int64_t{kShownPromptBytes});
    while (query.Next()) ids.push_back(query.Text(0));
  }
  SqliteStatement get(database, "SELECT spec FROM job WHERE id = ?");
  SqliteStatement keep(database, "INSERT INTO long_spec (id, spec) VALUES (?, ?)");
  SqliteStatement change(database, "UPDATE job SET spec = ?, spec_sha256 = ?, work = ?, encode_work = ? WHERE id = ?");
  for (const std::string& id : ids) {
    std::string whole;
    {
      SqliteQuery query(get, id);
      if (query.Next()) whole = query.Text(0);
    }
    try {
      const JobSpec spec = SpecFromJson(whole);
      const std::optional<std::string> shortened = ShortenedJson(spec);
      if (shortened) SqliteQuery(keep, id, whole).Run();
      SqliteQuery(change, shortened ? *shortened : whole,
                  shortened ? Sha256Hex(whole.data(), whole.size()) : std::string(), WorkOf(spec), EncodeWorkOf(spec),
                  id)
          .Run();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kDataLoss) throw;  // a damaged job stays as it is
    }
  }
}

// Whose work a job is and until when nobody else takes it over: of one that waits or has ended, nobody's. What was
// under way in an older version is nobody's, either, and its lease has run out. What unfinished jobs need beside their
// text is found by its hash.
void AddOwnersAndInputs(SqliteDatabase& database) {
  database.Execute(R"sql(
    ALTER TABLE job ADD COLUMN owner TEXT NOT NULL DEFAULT '';
    ALTER TABLE job ADD COLUMN owner_life TEXT NOT NULL DEFAULT '';
    ALTER TABLE job ADD COLUMN lease_until_ms BIGINT NOT NULL DEFAULT 0;
    CREATE TABLE job_input (job TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (job, sha256));
    CREATE INDEX job_input_by_sha256 ON job_input (sha256);
  )sql");
}

constexpr Migration kMigrations[] = {CreateVersion1, AddPromptFits, AddLeases, AddPause, AddHosts, AddOwnersAndInputs};

bool IsEmpty(SqliteDatabase& database) { return database.Integer("SELECT count(*) FROM sqlite_master") == 0; }

}  // namespace

std::span<const Migration> JobStoreMigrations() { return kMigrations; }

void Migrate(SqliteDatabase& database, std::span<const Migration> migrations) {
  const auto newest = static_cast<int64_t>(migrations.size());
  const int64_t found = database.Integer("PRAGMA user_version");
  const bool ours = database.Integer("PRAGMA application_id") == kApplicationId;
  if (found < 0 || (!ours && !IsEmpty(database))) {
    throw Error(ErrorCode::kDataLoss, database.path() + " is a database, but not a job store of Diptych");
  }
  if (found > newest) {
    throw Error(ErrorCode::kFailedPrecondition, "job store " + database.path() + " has version " +
                                                    std::to_string(found) + ", this program knows versions up to " +
                                                    std::to_string(newest) + "; use the newer program");
  }
  if (found == newest) return;
  SqliteTransaction transaction(database);
  for (int64_t version = found; version < newest; ++version) migrations[static_cast<size_t>(version)](database);
  database.Execute("PRAGMA application_id = " + std::to_string(kApplicationId));
  database.Execute("PRAGMA user_version = " + std::to_string(newest));
  transaction.Commit();
}

}  // namespace diptych
